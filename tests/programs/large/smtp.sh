#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An SMTP server: mail by several clients, delivered to mailboxes; what is refused; a queue that is run.
command -v /usr/sbin/exim4 >/dev/null || { echo "exim4 is missing"; exit 77; }
[ "$(id -u)" = 0 ] || { echo "a mail server wants root here"; exit 77; }
D=$(mktemp -d); chmod 755 "$D"; mkdir "$D/names"; touch "$D/names/box0" "$D/names/box1" "$D/names/later"; mkdir -m 1777 "$D/box" "$D/spool" "$D/log"
trap 'kill $P 2>/dev/null; rm -rf "$D"' EXIT
cat >"$D/c" <<C
primary_hostname = here.test
spool_directory = $D/spool
log_file_path = $D/log/%s
pid_file_path = $D/spool/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = 12525
domainlist local = here.test
acl_smtp_rcpt = check
acl_smtp_data = accepted
never_users =
deliver_drop_privilege = true
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
begin acl
check:
  accept domains = +local
  deny message = not here
accepted:
  accept
begin routers
later:
  driver = redirect
  domains = +local
  local_parts = later
  condition = \${if exists{$D/go}{no}{yes}}
  data = :defer: wait
  allow_defer
local:
  driver = accept
  domains = +local
  transport = box
begin transports
box:
  driver = appendfile
  file = $D/box/\${lookup{\$local_part}dsearch{$D/names}}
  mode = 0644
  check_owner = false
begin retry
* * F,1h,1s
C
/usr/sbin/exim4 -C "$D/c" -bdf & P=$!
for _ in $(seq 50); do (: </dev/tcp/127.0.0.1/12525) 2>/dev/null && break; sleep 0.1; done
python3 - <<'E'
import smtplib, threading
def one(i):
    with smtplib.SMTP("127.0.0.1", 12525, timeout=60) as s:
        for j in range(5):
            s.sendmail("me%d@else.test" % i, ["box%d@here.test" % (j % 2)], "Subject: %d-%d\r\n\r\n%s\r\n" % (i, j, "line\r\n" * 200))
ts = [threading.Thread(target=one, args=(i,)) for i in range(4)]
[t.start() for t in ts]; [t.join() for t in ts]
with smtplib.SMTP("127.0.0.1", 12525, timeout=60) as s:
    s.ehlo(); print(sorted(s.esmtp_features))
    try: s.sendmail("a@b.test", ["x@far.test"], "Subject: no\r\n\r\n.")
    except smtplib.SMTPRecipientsRefused as e: print(e.recipients)
    print(s.sendmail("a@b.test", ["later@here.test"], "Subject: later\r\n\r\n.x\r\n"))
E
for _ in $(seq 100); do [ "$(cat "$D"/box/* 2>/dev/null | grep -c ^Subject)" = 20 ] && break; sleep 0.1; done
cat "$D"/box/* | grep ^Subject | sort; ls "$D/box"
/usr/sbin/exim4 -C "$D/c" -bpc; touch "$D/go"; /usr/sbin/exim4 -C "$D/c" -qff; /usr/sbin/exim4 -C "$D/c" -bpc; cat "$D/box/later" | grep -c "^\.x"
grep -ciE "fail|error|panic" "$D"/log/main; cat "$D/log/panic" 2>/dev/null
kill $P; wait $P; echo "end $?"
