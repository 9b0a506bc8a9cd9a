<?php
// Run by auto_prepend_file before a script: makes file_get_contents and its kind use the proxy of the environment and the
// certificates that SSL_CERT_FILE names. Contexts that a script makes for itself keep what it gave them.
(static function (): void {
    $url = getenv('https_proxy') ?: getenv('HTTPS_PROXY') ?: getenv('http_proxy') ?: getenv('HTTP_PROXY') ?: '';
    $proxy = parse_url($url);
    if (!is_array($proxy) || !isset($proxy['host'])) {
        return;
    }
    // Both http:// and https:// read these options. The absolute form is what a proxy needs for http://; for https:// PHP
    // sends it inside the tunnel as well, where the proxy turns it back.
    $http = ['proxy' => 'tcp://' . $proxy['host'] . ':' . ($proxy['port'] ?? 80), 'request_fulluri' => true];
    if (isset($proxy['user'])) {
        $login = rawurldecode($proxy['user']) . ':' . rawurldecode($proxy['pass'] ?? '');
        $http['header'] = 'Proxy-Authorization: Basic ' . base64_encode($login);
    }
    $ssl = [];
    $bundle = getenv('SSL_CERT_FILE') ?: '';
    if ($bundle !== '') {
        $ssl['cafile'] = $bundle;
    }
    stream_context_set_default(['http' => $http, 'ssl' => $ssl]);
})();
