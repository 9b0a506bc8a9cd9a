//! The few pages that a person sees: a form, and how it ended. No script, nothing from elsewhere, in the browser's light or dark.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS};
use http::{HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::registration::Wanted;

const STYLE: &str = "\
:root{color-scheme:light dark;font:100%/1.5 system-ui,sans-serif}\
body{margin:0;display:grid;min-height:100vh;place-items:center;background:Canvas;color:CanvasText}\
main{box-sizing:border-box;width:100%;max-width:30rem;padding:1.5rem}\
h1{font-size:1.4rem;line-height:1.25;margin:0 0 1rem}\
label{display:block;margin:1rem 0 .25rem;font-weight:600}\
input,textarea,button{box-sizing:border-box;width:100%;font:inherit;padding:.6rem .7rem;border:1px solid GrayText;border-radius:.4rem;background:Field;color:FieldText}\
textarea{min-height:8rem;font-family:ui-monospace,monospace}\
button{margin-top:1.5rem;background:#1f5fbf;border-color:#1f5fbf;color:#fff;font-weight:600;cursor:pointer}\
button.second{margin-top:.75rem;background:none;color:inherit;border-color:GrayText;font-weight:400}\
:focus-visible{outline:3px solid Highlight;outline-offset:2px}\
.wrong{border-left:.3rem solid #c02626;padding:.4rem .8rem;margin:1rem 0}\
small{color:GrayText}p,h1{overflow-wrap:anywhere}";

/// Nothing but the style above, and a form that goes to ourselves.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let text =
        format!("default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'");
    HeaderValue::from_str(&text).ok()
});

/// A form to fill in.
#[derive(Debug)]
pub(super) struct FormPage<'a> {
    /// The service's name for people.
    pub(super) title: &'a str,
    /// Who asks: the name of a key.
    pub(super) asker: &'a str,
    /// For whom it is.
    pub(super) user: Option<&'a str>,
    /// Where a person finds what is asked for.
    pub(super) console: Option<&'a str>,
    /// Hosts that it goes to, for a person to look at.
    pub(super) hosts: Option<&'a str>,
    /// What is asked for.
    pub(super) fields: &'a [Wanted],
    /// What shows that the person may answer, once.
    pub(super) state: &'a str,
    /// What was wrong with the last try.
    pub(super) wrong: Option<&'a str>,
}

impl FormPage<'_> {
    /// The page.
    pub(super) fn answer(&self, status: StatusCode) -> Response {
        let mut body = String::new();
        let title = escaped(self.title);
        let asker = escaped(self.asker);
        let whose = self.user.map(|user| format!(", for {}", escaped(user))).unwrap_or_default();
        body.push_str(&format!(
                "<h1>Connect {title}</h1><p>A program asks to use {title}{whose}: {asker}. What you type is stored by Nexus; the program never sees it.</p>"
            ));
        if let Some(console) = self.console.filter(|url| url.starts_with("https://")) {
            let url = escaped(console);
            body.push_str(&format!(
                "<p>You find it at <a href=\"{url}\" rel=\"noreferrer noopener\" target=\"_blank\">{url}</a>.</p>"
            ));
        }
        if let Some(hosts) = self.hosts {
            body.push_str(&format!("<p>It is sent to {} and nowhere else.</p>", escaped(hosts)));
        }
        if let Some(wrong) = self.wrong {
            body.push_str(&format!("<p class=\"wrong\" role=\"alert\">{}</p>", escaped(wrong)));
        }
        body.push_str("<form method=\"post\" action=\"/v1/capture-credential\" autocomplete=\"off\">");
        body.push_str(&format!("<input type=\"hidden\" name=\"state\" value=\"{}\">", escaped(self.state)));
        self.fields.iter().for_each(|field| body.push_str(&input(field)));
        body.push_str("<button type=\"submit\">Store</button>");
        body.push_str(
            "<button class=\"second\" type=\"submit\" name=\"cancel\" value=\"1\" formnovalidate>Cancel</button></form>",
        );
        page(status, &format!("Connect {}", self.title), &body)
    }
}

fn input(field: &Wanted) -> String {
    let (name, prompt) = (escaped(&field.name), escaped(&field.prompt));
    let common = format!("id=\"f-{name}\" name=\"f-{name}\" required autocapitalize=\"off\" spellcheck=\"false\"");
    let control = match (field.file, field.secret) {
        (true, _) => format!("<textarea {common} autocomplete=\"off\"></textarea><small>The text of the file</small>"),
        (false, true) => format!("<input {common} type=\"password\" autocomplete=\"off\">"),
        (false, false) => format!("<input {common} type=\"text\" autocomplete=\"off\">"),
    };
    format!("<label for=\"f-{name}\">{}</label>{control}", capital(&prompt))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// How it ended.
#[derive(Debug)]
pub(super) struct EndPage<'a> {
    pub(super) status: StatusCode,
    /// In a few words.
    pub(super) title: &'a str,
    /// In a sentence.
    pub(super) text: &'a str,
    /// The way back to the program.
    pub(super) back: Option<&'a str>,
}

impl EndPage<'_> {
    /// The page.
    pub(super) fn answer(&self) -> Response {
        let mut body = format!("<h1>{}</h1><p>{}</p>", escaped(self.title), escaped(self.text));
        if let Some(back) = self.back {
            body.push_str(&format!("<p><a href=\"{}\" rel=\"noreferrer\">Back to the program</a></p>", escaped(back)));
        }
        body.push_str("<p>You can close this page.</p>");
        page(self.status, self.title, &body)
    }
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\"><title>{} - Nexus</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>",
        escaped(title)
    );
    let mut response = (status, text).into_response();
    let fields = response.headers_mut();
    let plain = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in plain {
        fields.insert(name, HeaderValue::from_static(value));
    }
    fields.extend(POLICY.clone().map(|policy| (CONTENT_SECURITY_POLICY, policy)));
    response
}

/// Text as it stands in HTML, in an attribute too.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' | '<' | '>' | '"' | '\'' => safe.push_str(&format!("&#{};", u32::from(letter))),
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn wanted(name: &str, secret: bool, file: bool) -> Wanted {
        Wanted { name: name.into(), prompt: format!("the <{name}>"), secret, file }
    }

    async fn text(response: Response) -> String {
        String::from_utf8(response.into_body().collect().await.expect("a body").to_bytes().to_vec()).expect("text")
    }

    #[tokio::test]
    async fn i1_a_form_hides_what_is_typed_and_nothing_in_it_is_markup_of_others() {
        let fields = [wanted("site", false, false), wanted("api_key", true, false), wanted("key_file", true, true)];
        let form = FormPage {
            asker: "crew",
            title: "A<b>",
            user: Some("alice"),
            console: Some("javascript:alert(1)"),
            hosts: None,
            fields: &fields,
            state: "\"><script>",
            wrong: Some("<i>no"),
        };
        let response = form.answer(StatusCode::OK);
        let policy = response.headers().get(CONTENT_SECURITY_POLICY).expect("a policy").to_str().expect("text").to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let text = text(response).await;
        for part in [
            "<label for=\"f-api_key\">The &#60;api_key&#62;</label><input id=\"f-api_key\" name=\"f-api_key\" required",
            "type=\"password\"",
            "<textarea id=\"f-key_file\"",
            "A&#60;b&#62;",
            "value=\"&#34;&#62;&#60;script&#62;\"",
            "&#60;i&#62;no",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("<script") && !text.contains("javascript:") && !text.contains("<i>"), "{text}");
    }
}
