//! One connection, its service, its token endpoint, and a Nexus between them and the caller.

use std::sync::Arc;
use std::time::SystemTime;

use http::Response;

use crate::harness::{
    Authentication, Authority, Body, Builder, CLIENT_ID, CLIENT_SECRET, Call, Caller, Nexus, Offers, TokenServer, Upstream,
    access, answer, refresh,
};

pub(crate) const API: &str = "api.renew.test";
const TOKEN: &str = "token.renew.test";

/// The provider file; `more` goes to its `[[inject]]`.
pub(crate) fn provider(authentication: Authentication, more: &str) -> String {
    format!(
        "name = \"renew\"\ntitle = \"Renew\"\nslots = [\"authorization\"]\n\
         [oauth2]\ntoken_url = \"https://{TOKEN}/token\"\nclient_authentication = \"{}\"\n\
         [[inject]]\nhosts = [\"{API}\"]\nstrategy = {{ bearer = \"{{access_token}}\" }}\n{more}",
        authentication.word()
    )
}

/// The fields that go with tokens number `number`.
pub(crate) fn fields(access: &str, refresh: &str) -> Vec<(&'static str, String)> {
    let all =
        [("access_token", access), ("refresh_token", refresh), ("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
    all.map(|(name, value)| (name, value.to_owned())).to_vec()
}

/// What is there before Nexus starts.
pub(crate) struct Plan {
    pub(crate) authentication: Authentication,
    pub(crate) offers: Offers,
    pub(crate) expires_at: Option<SystemTime>,
    pub(crate) config: &'static str,
    pub(crate) more: &'static str,
}

impl Default for Plan {
    fn default() -> Self {
        Self { authentication: Authentication::Basic, offers: Offers::Both, expires_at: None, config: "", more: "" }
    }
}

/// The actors of one test. The connection `renew` is registered with `access(1)` and `refresh(1)`.
pub(crate) struct House {
    pub(crate) tokens: TokenServer,
    pub(crate) service: Upstream,
    pub(crate) nexus: Nexus,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(Plan::default()).await
    }

    pub(crate) async fn with(plan: Plan) -> Self {
        Self::answering(plan, answer_by_token).await
    }

    /// With a handler of the test's own.
    pub(crate) async fn answering<H, F>(plan: Plan, handler: H) -> Self
    where
        H: Fn(TokenServer, Call) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let (builder, tokens, service) = Self::build(plan, handler).await;
        Self { tokens, service, nexus: builder.start() }
    }

    /// With Nexus as a process.
    pub(crate) async fn spawned(plan: Plan) -> Self {
        let (builder, tokens, service) = Self::build(plan, answer_by_token).await;
        Self { tokens, service, nexus: builder.spawn().await }
    }

    /// With Nexus as a process that says all it can, into `log`.
    pub(crate) async fn spoken(plan: Plan, log: &std::path::Path) -> Self {
        let (builder, tokens, service) = Self::build(plan, answer_by_token).await;
        Self { tokens, service, nexus: builder.spawn_logged(&[("NEXUS_LOG", "trace")], log).await }
    }

    async fn build<H, F>(plan: Plan, handler: H) -> (Builder, TokenServer, Upstream)
    where
        H: Fn(TokenServer, Call) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let ca = Authority::new();
        let tokens = TokenServer::start(&ca, TOKEN, plan.authentication).await;
        let (shared, handler) = (tokens.clone(), Arc::new(handler));
        let service = Upstream::serve(&ca, &[API], plan.offers, move |call| handler(shared.clone(), call)).await;
        let builder = Builder::new(&ca)
            .resolve(API, service.address)
            .resolve(TOKEN, tokens.upstream().address)
            .provider("renew", &provider(plan.authentication, plan.more))
            .config(plan.config);
        let (access, refresh) = (access(1), refresh(1));
        let all = fields(&access, &refresh);
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        (builder.register_until("renew", &all, plan.expires_at), tokens, service)
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller::new(&self.nexus)
    }

    /// The URL of `path` at the service.
    pub(crate) fn url(path: &str) -> String {
        format!("https://{API}{path}")
    }

    /// A person connects the account again, and another process registers it.
    pub(crate) fn connect_anew(&self) -> (String, String) {
        let (access, refresh) = self.tokens.connect_anew();
        self.register(&access, &refresh, None);
        (access, refresh)
    }

    /// Another process registers these tokens.
    pub(crate) fn register(&self, access: &str, refresh: &str, expires_at: Option<SystemTime>) {
        let all = fields(access, refresh);
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.nexus.register("renew", &all, expires_at);
    }

    /// No client ever did anything that a strict token endpoint would mind.
    pub(crate) fn no_mistakes(&self) {
        assert_eq!(self.tokens.mistakes(), Vec::<String>::new());
    }
}

/// 200 and the length of the body for a valid token, else 401; `/always-401` for nobody, `/status/N` says N.
pub(crate) async fn answer_by_token(tokens: TokenServer, mut call: Call) -> Response<Body> {
    let Ok(body) = call.read().await else { return answer(400, "") };
    if let Some(status) = call.seen.path.strip_prefix("/status/") {
        return answer(status.parse().expect("a status"), "as you wish");
    }
    let refused = call.seen.path.starts_with("/always-401") || !tokens.accepts(call.seen.bearer());
    if !refused {
        // HTTP/2 by hyper would send the body of an answer to HEAD.
        return answer(200, if call.seen.method == "HEAD" { String::new() } else { body.len().to_string() });
    }
    let mut response = answer(401, if call.seen.method == "HEAD" { "" } else { "who are you?" });
    response.headers_mut().insert("www-authenticate", http::HeaderValue::from_static("Bearer error=\"invalid_token\""));
    response
}
