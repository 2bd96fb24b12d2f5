#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# OpenSSH, both ends: commands, a terminal, forwarded ports, an agent, one connection for many, files.
for need in /usr/sbin/sshd ssh ssh-keygen scp sftp ssh-agent; do
    command -v $need >/dev/null || { echo "$need is missing"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "a server that logs in by keys wants root here"; exit 77; }
mkdir -p /run/sshd ~root /var/log && [ -e /var/log/lastlog ] || : >/var/log/lastlog # inside they are not there
D=$(mktemp -d); chmod 755 "$D"; cd "$D" || exit 1
trap 'kill $S $A 2>/dev/null; rm -rf "$D"' EXIT
ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f key; ssh-keygen -q -t rsa -b 2048 -N secret -f locked
cat key.pub locked.pub >auth
cat >sc <<C
Port 12222
ListenAddress 127.0.0.1
HostKey $D/host
AuthorizedKeysFile $D/auth
PidFile $D/pid
UsePAM no
StrictModes no
PermitRootLogin yes
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp
AcceptEnv WORD
C
cat >cc <<C
Host h
 HostName 127.0.0.1
 Port 12222
 User $(id -un)
 IdentityFile $D/key
 IdentitiesOnly yes
 UserKnownHostsFile $D/known
 StrictHostKeyChecking accept-new
 BatchMode yes
 LogLevel ERROR
C
/usr/sbin/sshd -D -e -f sc 2>log & S=$!
for _ in $(seq 50); do (: </dev/tcp/127.0.0.1/12222) 2>/dev/null && break; sleep 0.1; done
h() { timeout 30 ssh -F cc "$@"; }
h h 'echo over $((6*7))'; h h 'exit 7'; echo "rc $?"; h h 'kill -9 $$'; echo "rc $?"
head -c 3000000 /dev/zero | tr '\0' b | h h 'md5sum; echo err >&2' 2>err; cat err
WORD=sent h -o SendEnv=WORD h 'echo $WORD'
h -tt h 'test -t 0 && tty | sed "s/[0-9]*$//"; stty -a | grep -o "isig"; read x; echo "got $x"' <<<"typed" | tr -d '\r' | sort -u
h -f -N -M -S "$D/m" h; h -S "$D/m" -O check h 2>&1 | sed 's/pid=[0-9]*/pid/'
{ for i in 1 2 3; do h -S "$D/m" h "echo shared $i" & done; wait; } | sort; h -S "$D/m" -O exit h 2>&1
python3 -m http.server 18100 --bind 127.0.0.1 --directory /usr/share/misc >/dev/null 2>&1 & W=$!
h -f -L 18101:127.0.0.1:18100 -R 18102:127.0.0.1:18101 h 'sleep 4'
sleep 1; python3 -c 'import urllib.request as u
for p in 18101, 18102: print(p, u.urlopen("http://127.0.0.1:%d/" % p).status)'
kill $W
eval "$(ssh-agent -a "$D/agent")" >/dev/null; A=$SSH_AGENT_PID
printf '#!/bin/sh\necho secret\n' >ask; chmod 755 ask
SSH_ASKPASS=$D/ask SSH_ASKPASS_REQUIRE=force ssh-add -q locked 2>&1; ssh-add -l | grep -c RSA
h -A -o IdentityFile="$D/locked.pub" h 'ssh-add -l | grep -c RSA'
head -c 2000000 /dev/zero | tr '\0' c >f; scp -q -F cc f h:"$D/g"; cmp f g && echo copied; scp -q -F cc -r h:/usr/share/doc/openssh-client dir && diff -r /usr/share/doc/openssh-client dir && echo tree
printf 'put f sf\nls -l sf\nrename sf sg\nmkdir d\nls -1\nget sg back\nrm sg\nrmdir d\n' >b; timeout 30 sftp -q -F cc -b b h:"$D" 2>&1 | grep -cE "sf|sg"; cmp f back && echo sftp
ssh-keyscan -p 12222 127.0.0.1 2>/dev/null | grep -c ed25519
kill $S; wait $S; echo "end $?"
