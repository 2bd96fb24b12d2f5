#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# RabbitMQ (and so Erlang): a broker, queues that last, publishers and consumers, a restart.
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || { echo "rabbitmq-server is missing"; exit 77; }
/usr/bin/python3 -c 'import pika' 2>/dev/null || { echo "python3-pika is missing"; exit 77; }
D=$(mktemp -d); cd "$D" || exit 1
export HOME=$D RABBITMQ_NODENAME=r@localhost RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=15672 RABBITMQ_DIST_PORT=15673 \
    RABBITMQ_MNESIA_BASE=$D/db RABBITMQ_LOG_BASE=$D/log RABBITMQ_CONFIG_FILE=$D/none RABBITMQ_ENABLED_PLUGINS_FILE=$D/plugins \
    RABBITMQ_PID_FILE=$D/pid ERL_EPMD_PORT=14369 ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_CONF_ENV_FILE=$D/none PATH=/usr/lib/rabbitmq/bin:$PATH
trap 'kill $P 2>/dev/null; epmd -port 14369 -kill >/dev/null 2>&1; rm -rf "$D"' EXIT
ctl() { timeout 60 rabbitmqctl -q "$@" 2>&1; }
start() {
    rabbitmq-server >"$D/$1" 2>&1 & P=$!
    for _ in $(seq 100); do ctl await_startup >/dev/null && break; sleep 0.5; done
    ctl await_startup | grep -v "^$"
}
start one
/usr/bin/python3 - <<'E'
import pika, threading
at = pika.ConnectionParameters("127.0.0.1", 15672, heartbeat=0)
c = pika.BlockingConnection(at); ch = c.channel()
ch.queue_declare("lasts", durable=True); ch.queue_declare("many")
ch.exchange_declare("x", "topic"); q = ch.queue_declare("", exclusive=True).method.queue; ch.queue_bind(q, "x", "a.*")
ch.confirm_delivery()
for i in range(200): ch.basic_publish("", "lasts", b"m%d" % i * 50, pika.BasicProperties(delivery_mode=2))
ch.basic_publish("x", "a.b", b"yes"); ch.basic_publish("x", "b.b", b"no"); print(ch.basic_get(q, True)[2], ch.basic_get(q, True)[2])
def put(k):
    d = pika.BlockingConnection(at); h = d.channel()
    for i in range(500): h.basic_publish("", "many", b"%d" % (k * 500 + i))
    d.close()
ts = [threading.Thread(target=put, args=(k,)) for k in range(3)]
[t.start() for t in ts]
got = set()
for m, p, b in ch.consume("many", inactivity_timeout=30):
    if m is None: break
    got.add(int(b)); ch.basic_ack(m.delivery_tag)
    if len(got) == 1500: break
ch.cancel(); [t.join() for t in ts]; print(len(got), min(got), max(got)); c.close()
E
ctl list_queues name messages | sort
ctl eval 'lists:sum(lists:seq(1, 100)).'
ctl stop "$D/pid" >/dev/null; wait $P; echo "stopped $?"
start two
ctl list_queues name messages | sort
ctl status | grep -oE "^(RabbitMQ version|OS PID)" | sort -u
ctl stop "$D/pid" >/dev/null; wait $P; echo "stopped $?"
