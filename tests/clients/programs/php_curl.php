<?php
$curl = curl_init($argv[1]);
curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_FAILONERROR => true, CURLOPT_TIMEOUT => 20,
    CURLOPT_HTTPHEADER => ['Authorization: Bearer ' . getenv('CLIENTS_API_KEY')]]);
$body = curl_exec($curl);
echo $body === false ? curl_error($curl) : $body, "\n";
exit($body === false ? 1 : 0);
