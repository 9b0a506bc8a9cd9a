//! Unmodified programs, whose token dies on the way.

use super::noise;
use crate::harness::{Offers, Program, run};
use crate::renewal::house::{House, Plan};

const UPLOAD: &str = "
import sys, urllib.request
body = open(sys.argv[2], 'rb').read()
request = urllib.request.Request(sys.argv[1], data=body, method='PUT')
print(urllib.request.urlopen(request).read().decode())
";

#[test]
fn curl_and_python_notice_nothing() {
    run(async {
        for offers in [Offers::Http1, Offers::Http2] {
            let house = House::with(Plan { offers, config: "[replay]\nmemory = \"4MiB\"", ..Plan::default() }).await;
            let file = house.nexus.home().path().join("upload");
            std::fs::write(&file, noise(3 << 20)).expect("a file");
            let file = file.to_str().expect("text");
            house.tokens.expire();
            let curl = Program::new(&house.nexus, "curl", None).args(&["-sS", "--fail", "-T", file, &House::url("/curl")]);
            assert_eq!(curl.run().await.ok(), "3145728");
            house.tokens.expire();
            let python = Program::new(&house.nexus, "python3", None).args(&["-c", UPLOAD, &House::url("/python"), file]);
            assert_eq!(python.run().await.ok().trim(), "3145728");
            assert_eq!(house.tokens.uses(), 2);
            for path in ["/curl", "/python"] {
                assert_eq!(house.nexus.notes(path).await, ["renewed", "replayed"]);
            }
            house.no_mistakes();
        }
    });
}

#[test]
fn curl_with_a_body_that_cannot_be_sent_twice_reads_the_401() {
    run(async {
        let house =
            House::with(Plan { offers: Offers::Http2, config: "[replay]\nmemory = \"64KiB\"", ..Plan::default() }).await;
        let file = house.nexus.home().path().join("upload");
        std::fs::write(&file, noise(3 << 20)).expect("a file");
        house.tokens.expire();
        let file = file.to_str().expect("text");
        let curl = |path: &str| {
            let arguments = ["-sS", "-T", file, "-w", " %{http_code}", &House::url(path)];
            Program::new(&house.nexus, "curl", None).args(&arguments)
        };
        assert_eq!(curl("/one").run().await.ok(), "who are you? 401");
        assert_eq!(house.nexus.notes("/one").await, ["renewed", "not_replayable"]);
        assert_eq!(curl("/two").run().await.ok(), "3145728 200");
    });
}
