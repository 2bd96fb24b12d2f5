#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nginx: files, a proxy, load, reload, quit.
command -v /usr/sbin/nginx >/dev/null || { echo "/usr/sbin/nginx is missing"; exit 77; }
command -v wrk >/dev/null || { echo "wrk is missing"; exit 77; }
command -v curl >/dev/null || { echo "curl is missing"; exit 77; }
D=$(mktemp -d); chmod 755 $D; mkdir $D/www; head -c 100000 /dev/zero | tr '\0' a > $D/www/big; echo hello > $D/www/index.html
cat > $D/c <<C
user nobody nogroup; worker_processes 2; pid $D/pid; error_log $D/err; daemon on;
events { worker_connections 256; }
http { access_log $D/acc; client_body_temp_path $D/b; proxy_temp_path $D/p; fastcgi_temp_path $D/f; uwsgi_temp_path $D/u; scgi_temp_path $D/s;
 sendfile on; server { listen 127.0.0.1:18080; root $D/www; } server { listen 127.0.0.1:18081; location / { proxy_pass http://127.0.0.1:18080; } } }
C
/usr/sbin/nginx -c $D/c || exit 1
curl -s http://127.0.0.1:18080/; curl -s http://127.0.0.1:18081/big | md5sum
wrk -t2 -c20 -d2s http://127.0.0.1:18080/ | grep -iE "non-2xx|errors"; 
wrk -t2 -c20 -d1s http://127.0.0.1:18081/big | grep -iE "non-2xx|errors"
/usr/sbin/nginx -c $D/c -s reload 2>/dev/null; sleep 0.5; curl -s http://127.0.0.1:18080/
/usr/sbin/nginx -c $D/c -s quit 2>/dev/null; sleep 0.5; curl -s http://127.0.0.1:18080/ || echo gone
grep -cE "alert|emerg|crit" $D/err; rm -rf $D
