#!/bin/bash
# Runs three PostgreSQL servers under Patroni, with one etcd, on this machine, to see a failover. It installs nothing:
# it downloads the packages of Debian 12 into a directory of its own, which is removed at the end. It needs the
# binaries of PostgreSQL (apt-get install postgresql) and, run by root, runs the servers as the user postgres.
#
#	docs/patroni.sh                      run until Ctrl-C; prints the URL for postgres.Open
#	kill -9 $(head -1 DIR/a/postmaster.pid)   kills the server a, in another shell
set -eu
PG=${PG:-$(ls -d /usr/lib/postgresql/*/bin | tail -1)}
FIRST=${FIRST:-54320} # the first of seven ports

dir=${1:-$(mktemp -d)}
if [ ! -d "$dir/root" ]; then
	mkdir -p "$dir/deb"
	(cd "$dir/deb" && apt-get -q download patroni etcd-server python3-psycopg2 python3-yaml python3-dateutil python3-click \
		python3-prettytable python3-urllib3 python3-six python3-wcwidth python3-psutil python3-etcd python3-dnspython python3-cdiff libyaml-0-2 >/dev/null 2>&1)
	for deb in "$dir"/deb/*.deb; do dpkg -x "$deb" "$dir/root"; done
fi
if [ "$(id -u)" = 0 ]; then
	chown -R postgres "$dir"
	exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$dir"
fi
cd "$dir"
export PYTHONPATH=$dir/root/usr/lib/python3/dist-packages LD_LIBRARY_PATH=$(echo "$dir"/root/usr/lib/*-linux-gnu) HOME=$dir
trap 'trap - EXIT; kill $(jobs -p) 2>/dev/null; wait; rm -rf "$dir"' EXIT
trap exit INT TERM

client=http://127.0.0.1:$FIRST
"$dir/root/usr/bin/etcd" --name e --data-dir "$dir/etcd" --listen-client-urls "$client" --advertise-client-urls "$client" \
	--listen-peer-urls "http://127.0.0.1:$((FIRST + 1))" --initial-advertise-peer-urls "http://127.0.0.1:$((FIRST + 1))" \
	--initial-cluster "e=http://127.0.0.1:$((FIRST + 1))" >etcd.log 2>&1 &

n=1
for name in a b c; do
	n=$((n + 1))
	cat >$name.yml <<EOF
scope: events
name: $name
etcd3: {host: "127.0.0.1:$FIRST"}
restapi: {listen: "127.0.0.1:$((FIRST + n + 5))", connect_address: "127.0.0.1:$((FIRST + n + 5))"}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 5
    retry_timeout: 5
    synchronous_mode: true
    synchronous_mode_strict: true
    postgresql: {use_pg_rewind: true, parameters: {synchronous_commit: "on"}}
  initdb: [{encoding: UTF8}, {auth: trust}]
postgresql:
  listen: "127.0.0.1:$((FIRST + n))"
  connect_address: "127.0.0.1:$((FIRST + n))"
  data_dir: $dir/$name
  bin_dir: $PG
  pg_hba: ["host all all 127.0.0.1/32 trust", "local all all trust", "host replication all 127.0.0.1/32 trust"]
  parameters: {unix_socket_directories: "$dir"}
  authentication: {superuser: {username: postgres}, replication: {username: postgres}}
EOF
	/usr/bin/python3 root/usr/bin/patroni $name.yml >$name.log 2>&1 &
done

list() { /usr/bin/python3 root/usr/bin/patronictl -c a.yml list; }
until [ "$(list 2>/dev/null | grep -cE 'running|streaming')" = 3 ]; do sleep 1; done
list
echo "postgres://postgres@127.0.0.1:$((FIRST + 2)),127.0.0.1:$((FIRST + 3)),127.0.0.1:$((FIRST + 4))/postgres?target_session_attrs=read-write&connect_timeout=2"
echo "the servers are in $dir; Ctrl-C ends them"
wait
