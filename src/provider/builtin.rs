//! The provider files that are compiled in.

macro_rules! files {
    ($($name:literal)*) => {
        &[$((concat!($name, ".toml"), include_str!(concat!("../../config/providers/", $name, ".toml")))),*]
    };
}

/// Name and text of every file in `config/providers`; a test holds this list against the folder.
pub(super) const FILES: &[(&str, &str)] = files! {
    "activecampaign" "africas_talking" "agilecrm" "airtable" "algolia" "amazon_s3" "amplitude" "anthropic" "apify" "apollo"
    "apple_app_store" "asana" "assembla" "assemblyai" "attio" "aws" "aws_bedrock" "azure_arm" "azure_devops" "azure_openai"
    "azure_storage" "backblaze_b2" "bamboo" "beanstalk" "bitbucket" "box" "brave_search" "brevo" "browserbase" "buildkite"
    "calendly" "capsulecrm" "cerebras" "circleci" "clickup" "close" "cloudflare" "coda" "cohere" "confluence" "contentful"
    "crates_registry" "crisp" "databricks" "datadog" "deepgram" "deepseek" "digitalocean" "discord" "docker_hub" "docusign"
    "drift" "dropbox" "dropbox_sign" "dynamics" "e2b" "egnyte" "elevenlabs" "etsy" "exa" "fal" "figma" "firecrawl" "fireworks"
    "fly_io" "folk" "freedcamp" "freshbooks" "freshchat" "freshdesk" "freshsales" "fullstory" "gcp" "gcs" "ghcr" "ghost_admin"
    "github" "github_app" "gitlab" "gmail" "google_ads" "google_analytics" "google_calendar" "google_chat" "google_drive"
    "google_gemini" "google_maps" "google_people" "google_sheets" "google_vertex_ai" "gorgias" "grafana_cloud" "groq" "height"
    "heroku" "hetzner" "honeycomb" "hubspot" "huggingface" "infobip" "insightly" "intercom" "jenkins" "jina" "jira"
    "jumia_seller_center" "keap" "kissmetrics" "klaviyo" "kra" "langfuse" "langsmith" "launchdarkly" "less_annoying_crm"
    "linear" "linkedin" "linkedin_ads" "liquidplanner" "livechat" "logrocket" "mailchimp" "mailgun" "mailjet" "matomo"
    "mattermost" "miro" "mistral" "mixpanel" "monday" "mongodb_atlas" "msgraph" "neon" "netlify" "netsuite" "new_relic" "nifty"
    "nimble" "notion" "npm_registry" "nutshell" "nvidia_nim" "odoo" "okta" "openai" "openmrs" "openrouter" "oracle_cx"
    "oracle_erp" "pagerduty" "paypal" "paystack" "pendo" "perforce" "perplexity" "phabricator" "pinecone" "pipedrive"
    "pivotal_tracker" "plaid" "planetscale" "plausible" "podio" "posthog" "postmark" "prembly" "prestashop" "proofhub"
    "pypi_upload" "qdrant_cloud" "quickbooks" "railway" "reddit" "reddit_ads" "render" "replicate" "resend" "rocket_chat"
    "safaricom_mpesa" "sage_business_cloud_accounting" "sage_pastel" "salesflare" "salesforce" "sap" "segment" "sendgrid"
    "sentry" "serpapi" "serper" "servicenow" "shift4shop" "shopify" "shortcut" "simplepay" "slack" "slack_webhooks" "snapchat_ads" "snowflake"
    "snyk" "sourceforge" "sourcegraph" "spotify" "square" "stability" "streak" "stripe" "supabase" "tailscale" "targetprocess"
    "tavily" "tawkto" "teamcity" "telegram" "terraform_cloud" "tiktok_ads" "todoist" "together" "travis_ci" "trello" "twilio"
    "twitter" "twitter_ads" "typeform" "vercel" "voyage" "wandb" "wave_accounting" "webex" "webflow" "what3words"
    "whatsapp_business" "wix_stores" "woocommerce" "wordpress" "workfront" "wrike" "xai" "xero" "youtube" "zendesk"
    "zendesk_chat" "zoho_books" "zoho_crm" "zoho_desk" "zoho_people" "zoho_shifts" "zoom"
};
