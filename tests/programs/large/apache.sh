#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Apache: threads (mpm_event) and processes (mpm_prefork): files, ranges, CGI, a proxy, load, a graceful restart.
for need in /usr/sbin/apache2 ab curl; do
    command -v $need >/dev/null || { echo "$need is missing"; exit 77; }
done
D=$(mktemp -d); chmod 755 "$D"; mkdir "$D/www" "$D/cgi"
trap 'kill $(cat $D/pid 2>/dev/null) 2>/dev/null; rm -rf "$D"' EXIT
head -c 300000 /dev/zero | tr '\0' a >"$D/www/big"; echo hello >"$D/www/index.html"
printf '#!/bin/sh\necho Content-Type: text/plain; echo; echo "$REQUEST_METHOD $QUERY_STRING"; cat\n' >"$D/cgi/x"; chmod 755 "$D/cgi/x"
M=/usr/lib/apache2/modules
for mpm in event prefork; do
    cat >"$D/c" <<C
ServerRoot $D
DefaultRuntimeDir $D
ServerName localhost
Listen 127.0.0.1:18090
Listen 127.0.0.1:18091
PidFile $D/pid
ErrorLog $D/err
LoadModule mpm_${mpm}_module $M/mod_mpm_$mpm.so
LoadModule authz_core_module $M/mod_authz_core.so
LoadModule dir_module $M/mod_dir.so
LoadModule alias_module $M/mod_alias.so
LoadModule proxy_module $M/mod_proxy.so
LoadModule proxy_http_module $M/mod_proxy_http.so
LoadModule $([ $mpm = event ] && echo "cgid_module $M/mod_cgid.so" || echo "cgi_module $M/mod_cgi.so")
$([ $mpm = event ] && echo "ScriptSock $D/cgisock")
User nobody
Group nogroup
DocumentRoot $D/www
ScriptAlias /cgi/ $D/cgi/
StartServers 2
<VirtualHost 127.0.0.1:18091>
ServerName localhost
ProxyPass / http://127.0.0.1:18090/
</VirtualHost>
C
    /usr/sbin/apache2 -f "$D/c" -k start 2>&1 || { cat "$D/err"; exit 1; }
    for _ in $(seq 50); do curl -s -o "$D/out" http://127.0.0.1:18090/ && break; sleep 0.1; done
    curl -s http://127.0.0.1:18090/; curl -s http://127.0.0.1:18091/big | md5sum
    curl -s -r 100000-100009 http://127.0.0.1:18090/big; echo
    curl -s http://127.0.0.1:18090/cgi/x?a=1; curl -s -d body "http://127.0.0.1:18091/cgi/x?b=2"; echo
    curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1:18090/none
    ab -q -n 1500 -c 20 -k http://127.0.0.1:18090/ 2>&1 | grep -E "^(Complete|Failed|Non-2xx)"
    ab -q -n 200 -c 10 http://127.0.0.1:18091/big 2>&1 | grep -E "^(Complete|Failed|Non-2xx)"
    /usr/sbin/apache2 -f "$D/c" -k graceful; sleep 1; curl -s http://127.0.0.1:18090/
    pid=$(cat "$D/pid")
    /usr/sbin/apache2 -f "$D/c" -k graceful-stop
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    curl -s http://127.0.0.1:18090/ || echo gone
    grep -cE ":(emerg|alert|crit|error)\]" "$D/err"
    grep -E ":(emerg|alert|crit)\]" "$D/err" | head -3
    rm -f "$D/err"
done
