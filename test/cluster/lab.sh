#!/bin/bash
# A throw-away Slurm cluster on this host, for tests: one munged, one slurmctld, two slurmd ("nodes" n1 and n2).
# Needs root and Debian's packages slurm-wlm and munge. Nothing outside LAB is written.
# Run: lab.sh start LAB | lab.sh stop LAB; then SLURM_CONF=LAB/slurm.conf sbatch …
set -euo pipefail
LAB=$2
export SLURM_CONF=$LAB/slurm.conf

stop() {
  for file in slurmd-n1.pid slurmd-n2.pid slurmctld.pid munge/munged.pid; do
    if [ -s "$LAB/$file" ]; then kill "$(cat "$LAB/$file")" 2>/dev/null || true; fi
  done
}

start() {
  local host cpus memory
  host=$(hostname -s); cpus=$(nproc); memory=$(($(awk '/MemTotal/{print $2}' /proc/meminfo) * 9 / 10 / 1024))
  mkdir -p "$LAB"/{munge,log,state,spool-n1,spool-n2}
  chmod 755 "$LAB" "$LAB/munge" "$LAB/log"
  cat >"$SLURM_CONF" <<CONF
ClusterName=dblocks
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$LAB/munge/munge.sock
CredType=cred/munge
SlurmctldPort=16817
SlurmctldPidFile=$LAB/slurmctld.pid
SlurmctldLogFile=$LAB/log/slurmctld.log
StateSaveLocation=$LAB/state
SlurmdPidFile=$LAB/slurmd-%n.pid
SlurmdLogFile=$LAB/log/slurmd-%n.log
SlurmdSpoolDir=$LAB/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
KillWait=5
JobRequeue=1
AccountingStorageType=accounting_storage/none
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=17001 CPUs=$cpus RealMemory=$memory State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=17002 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
CONF
  dd if=/dev/urandom of="$LAB/munge/munge.key" bs=1 count=1024 status=none
  chmod 600 "$LAB/munge/munge.key"
  munged --force --key-file="$LAB/munge/munge.key" --socket="$LAB/munge/munge.sock" \
    --pid-file="$LAB/munge/munged.pid" --log-file="$LAB/log/munged.log" --seed-file="$LAB/munge/munge.seed"
  slurmctld -c -f "$SLURM_CONF"
  slurmd -N n1 -f "$SLURM_CONF"
  slurmd -N n2 -f "$SLURM_CONF"
  for _ in $(seq 60); do
    if [ "$(sinfo -h -N -o %t 2>/dev/null | grep -c '^idle$')" = 2 ]; then return; fi
    sleep 0.5
  done
  echo "the nodes do not answer: see $LAB/log" >&2
  exit 1
}

"$1"
