//! The provider files that are compiled in.

macro_rules! files {
    ($($name:literal)*) => {
        &[$((concat!($name, ".toml"), include_str!(concat!("../../config/providers/", $name, ".toml")))),*]
    };
}

/// Name and text of every file in `config/providers`; a test holds this list against the folder.
pub(super) const FILES: &[(&str, &str)] = files! {
    "airtable" "anthropic" "apollo" "brevo" "github" "google_drive" "google_sheets" "hubspot" "jira" "linear" "mailchimp"
    "notion" "openai" "slack" "stripe"
};
