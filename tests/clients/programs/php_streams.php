<?php
$body = file_get_contents($argv[1]);
echo $body, "\n";
exit($body === false ? 1 : 0);
