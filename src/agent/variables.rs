//! Variables by which programs that were not made for it use the proxy: which of them name the roots to trust.

/// Those that name a file with the system's roots and ours: most clients replace their own by it.
pub const BUNDLES: [&str; 16] = [
    "SSL_CERT_FILE",                      // OpenSSL, Go, httpx, Ruby, Rust's platform verifiers, cargo, uv, Bun
    "REQUESTS_CA_BUNDLE",                 // requests and what is built on it
    "CURL_CA_BUNDLE",                     // curl, and requests again
    "GIT_SSL_CAINFO",                     // git with either TLS library
    "AWS_CA_BUNDLE",                      // the AWS CLI and boto3
    "PIP_CERT",                           // pip
    "CARGO_HTTP_CAINFO",                  // cargo
    "NPM_CONFIG_CAFILE",                  // npm, whose own `cafile` would beat NODE_EXTRA_CA_CERTS
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",   // gRPC core and grpc-js
    "HTTPLIB2_CA_CERTS",                  // Google's API client for Python
    "WEBSOCKET_CLIENT_CA_BUNDLE",         // websocket-client
    "PERL_LWP_SSL_CA_FILE",               // Perl's LWP
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", // gcloud
    "NIX_SSL_CERT_FILE",                  // Nix
    "COMPOSER_CAFILE",                    // PHP's composer
    "HEX_CACERTS_PATH",                   // Elixir's hex
];

/// Those that name a file with roots that are added to the client's own.
pub const ADDED_ROOTS: [&str; 2] = [
    "NODE_EXTRA_CA_CERTS", // Node
    "DENO_CERT",           // Deno
];
