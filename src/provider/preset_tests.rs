//! What the presets of the most used providers take.

use super::*;
use crate::provider::Catalogue;

/// Provider, request, and whether `read_only` and `no_delete` take it: `y`, `n`, or `b` where the body tells.
const TABLE: &str = "
airtable        GET /v0/app1/Table                                        yy
airtable        POST /v0/app1/Table                                       ny
airtable        POST /v0/app1/Table/listRecords                           yy
airtable        DELETE /v0/app1/Table                                     nn
algolia         POST /1/indexes/products/query                            yy
algolia         POST /1/indexes/products/batch                            nn
algolia         POST /1/indexes/products/clear                            nn
amazon_s3       GET /bucket/key                                           yy
amazon_s3       PUT /bucket/key                                           ny
amazon_s3       POST /bucket                                              nn
anthropic       POST /v1/messages                                         ny
anthropic       POST /v1/messages/count_tokens                            yy
anthropic       POST /v1/messages/batches                                 nn
asana           GET /api/1.0/tasks                                        yy
asana           POST /api/1.0/batch                                       nn
azure_arm       PUT /subscriptions/1/resourceGroups/a/providers/Microsoft.Resources/deployments/d nn
azure_arm       GET /subscriptions                                        yy
azure_devops    POST /org/project/_apis/wit/wiql                          yy
azure_devops    POST /org/_apis/wit/$batch                                nn
azure_storage   GET /queue/messages                                       ny
bitbucket       POST /team/repo/git-upload-pack                           yy
bitbucket       POST /team/repo/git-receive-pack                          nn
box             GET /2.0/files/1                                          yy
box             DELETE /2.0/files/1                                       nn
cloudflare      POST /client/v4/graphql                                   bb
cloudflare      POST /client/v4/zones/1/purge_cache                       nn
cloudflare      PUT /client/v4/zones/1/dns_records/2                      ny
datadog         POST /api/v2/logs/events/search                           yy
datadog         POST /api/v1/events                                       ny
digitalocean    DELETE /v2/droplets/1                                     nn
discord         GET /api/v10/users/@me                                    yy
discord         POST /api/v10/channels/1/messages                         ny
discord         POST /api/v10/channels/1/messages/bulk-delete             nn
dropbox         POST /2/files/list_folder                                 yy
dropbox         POST /2/files/upload                                      ny
dropbox         POST /2/files/delete_v2                                   nn
dropbox         GET /2/files/delete_v2                                    nn
figma           GET /v1/files/1                                           yy
github          GET /repos/octo/hello                                     yy
github          POST /repos/octo/hello/issues                             ny
github          DELETE /repos/octo/hello                                  nn
github          POST /graphql                                             bb
github          POST /octo/hello.git/git-upload-pack                      yy
github          POST /octo/hello.git/git-receive-pack                     nn
gitlab          POST /api/graphql                                         bb
gitlab          POST /api/v4/projects/1/repository/commits                nn
gitlab          POST /a/b/c.git/git-upload-pack                           yy
gmail           GET /gmail/v1/users/me/messages                           yy
gmail           POST /gmail/v1/users/me/messages/send                     ny
gmail           POST /gmail/v1/users/me/messages/batchDelete              nn
gmail           POST /batch/gmail/v1                                      nn
google_calendar POST /calendar/v3/freeBusy                                yy
google_drive    PATCH /drive/v3/files/1                                   ny
google_drive    POST /batch/drive/v3                                      nn
google_sheets   GET /v4/spreadsheets/1/values/A1                          yy
google_sheets   POST /v4/spreadsheets/1:batchUpdate                       nn
google_sheets   POST /v4/spreadsheets/1/values/A1:append                  ny
heroku          GET /apps                                                 yy
hubspot         POST /crm/v3/objects/contacts/search                      yy
hubspot         POST /crm/v3/objects/contacts/batch/archive               nn
intercom        POST /contacts/search                                     yy
jira            POST /rest/api/3/search/jql                               yy
jira            POST /ex/jira/1/rest/api/3/search                         yy
jira            POST /rest/api/3/issue                                    ny
linear          POST /graphql                                             bb
mailchimp       POST /3.0/batches                                         nn
monday          POST /v2                                                  bb
msgraph         GET /v1.0/me/messages                                     yy
msgraph         POST /v1.0/$batch                                         nn
msgraph         POST /v1.0/me/messages/1/permanentDelete                  nn
netlify         PUT /api/v1/sites/1                                       ny
notion          POST /v1/search                                           yy
notion          POST /v1/databases/1/query                                yy
notion          POST /v1/pages                                            ny
openai          GET /v1/models                                            yy
openai          POST /v1/batches                                          nn
pagerduty       GET /incidents                                            yy
pinecone        POST /query                                               yy
pinecone        POST /vectors/delete                                      nn
plaid           POST /transactions/sync                                   yy
plaid           POST /item/remove                                         nn
quickbooks      POST /v3/company/1/invoice                                nn
salesforce      GET /services/data/v60.0/query                            yy
salesforce      POST /services/data/v60.0/composite                       nn
salesforce      GET /services/apexrest/anything                           nn
salesforce      GET /services/data/v60.0/tooling/executeAnonymous/        nn
sendgrid        POST /v3/mail/send                                        ny
sentry          GET /api/0/projects/                                      yy
shopify         POST /admin/api/2026-01/graphql.json                      bb
shopify         GET /admin/api/2026-01/products.json                      yy
slack           GET /api/conversations.list                               yy
slack           POST /api/conversations.history                           yy
slack           GET /api/chat.postMessage                                 ny
slack           POST /api/chat.delete                                     nn
square          POST /v2/orders/search                                    yy
stripe          GET /v1/charges                                           yy
stripe          POST /v1/charges                                          ny
stripe          DELETE /v1/customers/1                                    nn
telegram        GET /bot0/getMe                                           yy
telegram        GET /bot0/sendMessage                                     ny
telegram        POST /bot0/deleteMessage                                  nn
trello          GET /1/boards/1                                           yy
trello          GET /1/batch                                              nn
twilio          POST /2010-04-01/Accounts/1/Messages.json                 ny
vercel          GET /v9/projects                                          yy
whatsapp_business POST /v20.0/1/messages                                  ny
whatsapp_business POST /                                                  nn
xero            GET /api.xro/2.0/Invoices                                 yy
zendesk         GET /api/v2/tickets.json                                  yy
zoom            GET /v2/users/me                                          yy
";

#[test]
fn the_most_used_providers_have_presets_that_mean_what_they_say() {
    let catalogue = Catalogue::builtin();
    let mut seen = std::collections::BTreeSet::new();
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, method, path, expected] = words[..] else { panic!("{line}") };
        let provider = catalogue.get(&name.parse().expect("a name")).unwrap_or_else(|| panic!("{name}"));
        let told = |preset| match provider.presets.inside(preset, std::iter::once(method), path, false) {
            Inside::Yes => 'y',
            Inside::No => 'n',
            Inside::IfBody => 'b',
        };
        assert_eq!([told(Preset::ReadOnly), told(Preset::NoDelete)].iter().collect::<String>(), expected, "{line}");
        seen.insert(name);
    }
    assert!(seen.len() >= 40, "{}", seen.len());
}

#[test]
fn a_provider_whose_requests_say_nothing_offers_no_preset() {
    let catalogue = Catalogue::builtin();
    for name in ["aws", "snowflake", "odoo", "matomo"] {
        let presets = &catalogue.get(&name.parse().expect("a name")).expect("it ships").presets;
        assert!(!presets.offers(Preset::ReadOnly) && !presets.offers(Preset::NoDelete), "{name}");
    }
    // A preset never takes what the file itself calls a batch, nor DELETE.
    for provider in catalogue.iter() {
        for preset in [Preset::ReadOnly, Preset::NoDelete] {
            let inside = provider.presets.inside(preset, std::iter::once("DELETE"), "/any/thing", false);
            assert!(inside != Inside::Yes || provider.presets.rpc, "{}", provider.id);
        }
    }
}
