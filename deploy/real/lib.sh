# Sourced by the scripts beside it: where things are, and how they end.
#
# DIR holds a server's data, its log and its pid file. What is installed goes to MILLRACE_REAL, if that is set, so that many
# DIRs share it; else to DIR as well. With REAL_PARENT=<pid> a server ends when that process does.
arrive() { # NAME DIR: sets DIR, H (data) and C (installation)
  mkdir -p "$2"; DIR=$(cd "$2" && pwd); H=$DIR/$1; C=${MILLRACE_REAL:-$DIR}/$1
  mkdir -p "$H" "$C"; C=$(cd "$C" && pwd)
}

# once MARK COMMAND...: runs COMMAND unless an earlier run made C/MARK; one process at a time.
once() {
  local mark=$C/$1; shift
  [ -f "$mark" ] && return 0
  exec 9> "$C/.lock"; flock 9
  if [ ! -f "$mark" ]; then
    echo "installing into $C" >&2
    "$@" # not in a condition: set -e must end a failed one
    touch "$mark"
  fi
  exec 9>&-
}

# watch PIDFILE: ends that process when REAL_PARENT is gone.
watch() {
  [ -n "${REAL_PARENT:-}" ] || return 0
  setsid nohup bash -c 'p=$(cat "$1"); while kill -0 "$2" 2>/dev/null && kill -0 "$p" 2>/dev/null; do sleep 1; done; kill -9 "$p" 2>/dev/null' \
    - "$1" "$REAL_PARENT" > /dev/null 2>&1 < /dev/null &
}
