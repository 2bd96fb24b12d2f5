#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PHP: files, processes, sockets.
command -v php >/dev/null || { echo "php is missing"; exit 77; }
cat >t.php <<'E'
<?php
echo PHP_MAJOR_VERSION, "\n"; echo json_encode(array_map(fn($x)=>$x*2, [1,2,3])), "\n";
$f = tempnam('/tmp','x'); file_put_contents($f, str_repeat('a', 100000), LOCK_EX); echo filesize($f), "\n"; unlink($f);
$p = proc_open(['cat'], [['pipe','r'],['pipe','w']], $pipes); fwrite($pipes[0], 'hello'); fclose($pipes[0]); echo stream_get_contents($pipes[1]), "\n"; echo proc_close($p), "\n";
$s = stream_socket_server('tcp://127.0.0.1:0'); $n = stream_socket_get_name($s,false); $c = stream_socket_client("tcp://$n"); $a = stream_socket_accept($s); fwrite($c,"x\n"); echo fgets($a);
if (function_exists('pcntl_fork')) { $pid = pcntl_fork(); if (!$pid) exit(5); pcntl_waitpid($pid,$st); echo pcntl_wexitstatus($st), "\n"; }
echo shell_exec('echo sh'); echo preg_replace('/a+/', 'b', 'caaat'), "\n"; usleep(1000); echo md5(random_bytes(3)) ? "ok\n" : '';
E
php t.php
rm t.php
