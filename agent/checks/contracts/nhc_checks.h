// Node Health Check's checks, our own words for its documented behaviour: each is a bash function
// that returns 0 when all is well, else says why and returns 1. Arguments are data; no check
// changes the host (-r, -c and the like are reported, never acted on).
#pragma once

#include <string_view>

namespace faultline {

inline constexpr std::string_view kNhcChecks = R"bash(
set -u
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
# Shell arithmetic runs what it finds in brackets: only digits may come to it.
digits() { local text=${1//[^0-9]/}; echo "$((10#${text:-0}))"; }
HW_CORES=$(grep -c ^processor /proc/cpuinfo); HW_THREADS=$HW_CORES
HW_SOCKETS=$(sed -n 's/^physical id[[:space:]]*: //p' /proc/cpuinfo | sort -u | grep -c .); [ "$HW_SOCKETS" -gt 0 ] || HW_SOCKETS=1
die() { echo "$*"; exit 1; }
# A size as NHC has it: 32gb, 1k, 3MB, plain is kB; prints kB.
kb() {
  local text=${1,,} number
  number=${text%%[!0-9.]*}
  case "${text#"$number"}" in
    b) awk "BEGIN{printf \"%d\", $number/1024}" ;; ''|k|kb) awk "BEGIN{printf \"%d\", $number}" ;;
    m|mb) awk "BEGIN{printf \"%d\", $number*1024}" ;; g|gb) awk "BEGIN{printf \"%d\", $number*1048576}" ;;
    t|tb) awk "BEGIN{printf \"%d\", $number*1073741824}" ;; p|pb) awk "BEGIN{printf \"%d\", $number*1099511627776}" ;;
    *) die "$FUNCNAME: size \"$1\" is not understood" ;;
  esac
}
mem() { awk -v key="$1:" '$1==key{print $2}' /proc/meminfo; }
# NHC's match strings: glob, /expression/, each perhaps inverted by !.
mcheck() {
  local text=$1 match=$2 invert=0 rc=1
  if [[ $match == '!'* ]]; then invert=1; match=${match#!}; fi
  if [[ $match == /*/ && ${#match} -gt 1 ]]; then match=${match#/}; match=${match%/}; [[ $text =~ $match ]] && rc=0
  else [[ $text == $match ]] && rc=0; fi
  return $((rc ^ invert))
}
# within WHAT VALUE LOW HIGH FUDGE%: NHC's comparison of sizes.
within() {
  local what=$1 value=$2 low high fudge=0
  low=$(kb "$3"); high=$(kb "${4:-$3}")
  case "${5:-}" in '') ;; *%) fudge=$(digits "$5"); low=$((low - low*fudge/100)); high=$((high + high*fudge/100)) ;;
    *) fudge=$(kb "$5"); low=$((low - fudge)); high=$((high + fudge)) ;; esac
  [ "$value" -ge "$low" ] || die "$what $value kB is less than minimum allowed $low kB"
  [ "$high" -eq 0 ] || [ "$value" -le "$high" ] || die "$what $value kB is more than maximum allowed $high kB"
}
check_hw_cpuinfo() {
  [ -z "${1:-}" ] || [ "$HW_SOCKETS" -eq "$1" ] || die "CPU sockets: $HW_SOCKETS, should be $1"
  [ -z "${2:-}" ] || [ "$HW_CORES" -ge "$2" ] || die "CPU cores: $HW_CORES, should be $2"
  [ -z "${3:-}" ] || [ "$HW_THREADS" -eq "$3" ] || die "CPU threads: $HW_THREADS, should be $3"
}
check_hw_physmem() { within "RAM" "$(mem MemTotal)" "$@"; }
check_hw_swap() { within "swap" "$(mem SwapTotal)" "$@"; }
check_hw_mem() { within "memory" "$(($(mem MemTotal) + $(mem SwapTotal)))" "$@"; }
available() { awk '$1=="MemFree:"||$1=="Buffers:"||$1=="Cached:"{sum+=$2}END{print sum}' /proc/meminfo; }
check_hw_physmem_free() { local free; free=$(available); [ "$free" -ge "$(kb "$1")" ] || die "free RAM $free kB is less than $1"; }
check_hw_swap_free() { [ "$(mem SwapFree)" -ge "$(kb "$1")" ] || die "free swap $(mem SwapFree) kB is less than $1"; }
check_hw_mem_free() { local free; free=$(($(available) + $(mem SwapFree))); [ "$free" -ge "$(kb "$1")" ] || die "free memory $free kB is less than $1"; }
check_hw_eth() { [[ $1 != */* ]] && [ -e "/sys/class/net/$1" ] && (( $(cat "/sys/class/net/$1/flags") & 1 )) || die "interface $1 is missing or down"; }
check_hw_ib() {
  local rate=$1 want=${2:-} port
  for port in /sys/class/infiniband/*/ports/*; do
    [ -e "$port/state" ] || continue
    [ -z "$want" ] || [[ $port == */"${want%%:*}"/* ]] || continue
    [[ $(cat "$port/state") == *ACTIVE* && $(cat "$port/phys_state") == *LinkUp* && $(cat "$port/rate") == "$rate "* ]] && return 0
  done
  die "no IB port is ACTIVE and LinkUp at $rate Gb/s"
}
check_hw_mcelog() { command -v mcelog >/dev/null || return 0; local said; said=$(timeout 5 mcelog --client 2>/dev/null) || return 0; [ -z "$said" ] || die "mcelog has errors"; }
check_dmi_data_match() {
  local type="" match said
  while [[ ${1:-} == -* ]]; do case $1 in -t|-h) type=$2; shift 2 ;; *) shift ;; esac; done
  command -v dmidecode >/dev/null || { echo "dmidecode is not installed"; exit 127; }
  said=$(dmidecode 2>/dev/null | awk '/^[A-Z]/{head=$0;next}/^\t[^\t]/{sub(/^\t/,"");print head ": " $0}')
  match=$1; [ -z "$type" ] || said=$(grep -F "$type" <<<"$said")
  while read -r line; do mcheck "$line" "$match" && return 0; done <<<"$said"
  die "no DMI entry matches \"$match\""
}
# Sets source, fstype, options of mount point $1.
mounted() {
  source="" fstype="" options=""
  local s p t o rest
  while read -r s p t o rest; do [ "$(printf %b "$p")" = "$1" ] && source=$s fstype=$t options=$o; done < /proc/mounts
  [ -n "$source" ]
}
check_fs_mount() {
  local want_source="" want_type="" want_options="" found point=() source fstype options
  while [ $# -gt 0 ]; do case $1 in
    -s) want_source=$2; shift 2 ;; -t) want_type=$2; shift 2 ;; -o) want_options=$2; shift 2 ;; -f) point+=("$2"); shift 2 ;;
    -r|-R|-e|-E) shift ;; -0) shift ;; *) point+=("$1"); shift ;;
  esac; done
  for found in "${point[@]}"; do
    mounted "$found" || die "$found is not mounted"
    [ -z "$want_source" ] || mcheck "$source" "$want_source" || die "$found has source $source, should match $want_source"
    [ -z "$want_type" ] || mcheck "$fstype" "$want_type" || die "$found has type $fstype, should match $want_type"
    [ -z "$want_options" ] || mcheck "$options" "$want_options" || die "$found has options $options, should match $want_options"
  done
}
check_fs_mount_rw() { check_fs_mount -o '/(^|,)rw($|,)/' "$@"; }
check_fs_mount_ro() { check_fs_mount -o '/(^|,)ro($|,)/' "$@"; }
# amount VALUE TOTAL: a size or a percentage of the total, in kB.
amount() { case $1 in *%) echo $(($2 * $(digits "$1") / 100)) ;; *) kb "$1" ;; esac; }
fs() { local line; line=$(timeout 5 df -P${2:-k} "$1" 2>/dev/null | tail -n 1) || die "$1 does not answer"; set -- $line; TOTAL=$2 USED=$3 FREE=$4; }
check_fs_size() { fs "$1"; [ "$TOTAL" -ge "$(kb "$2")" ] || die "$1 total size is too small ($TOTAL kB)"; [ -z "${3:-}" ] || [ "$TOTAL" -le "$(kb "$3")" ] || die "$1 total size is too large ($TOTAL kB)"; }
check_fs_free() { fs "$1"; [ "$FREE" -ge "$(amount "$2" "$TOTAL")" ] || die "$1 has only $FREE kB free, should be at least $2"; }
check_fs_used() { fs "$1"; [ "$USED" -le "$(amount "$2" "$TOTAL")" ] || die "$1 has $USED kB used, should be at most $2"; }
inodes() { case $1 in *%) echo $(($2 * $(digits "$1") / 100)) ;; *k) echo $(($(digits "$1") * 1000)) ;; *m) echo $(($(digits "$1") * 1000000)) ;; *) digits "$1" ;; esac; }
check_fs_inodes() { fs "$1" ki; [ "$TOTAL" -ge "$(inodes "$2" 0)" ] || die "$1 has too few inodes ($TOTAL)"; }
check_fs_ifree() { fs "$1" ki; [ "$TOTAL" -eq 0 ] || [ "$FREE" -ge "$(inodes "$2" "$TOTAL")" ] || die "$1 has only $FREE free inodes, should be at least $2"; }
check_fs_iused() { fs "$1" ki; [ "$TOTAL" -eq 0 ] || [ "$USED" -le "$(inodes "$2" "$TOTAL")" ] || die "$1 has $USED inodes used, should be at most $2"; }
check_file_test() {
  local tests=() file test
  while [[ ${1:-} == -* ]]; do tests+=("$1"); shift; done
  for file in "$@"; do for test in "${tests[@]}"; do
    test "$test" "$file" || die "$file fails test $test"
  done; done
}
check_file_contents() {
  local file=$1 match line found; shift
  [ -r "$file" ] || die "$file cannot be read"
  for match in "$@"; do
    found=1
    [[ $match == '!'* ]] && found=0
    while IFS= read -r line; do
      if [[ $match == '!'* ]]; then mcheck "$line" "${match#!}" && die "$file has a line that matches ${match#!}"
      else mcheck "$line" "$match" && { found=0; break; }; fi
    done < "$file"
    [ $found -eq 0 ] || die "$file has no line that matches $match"
  done
}
check_file_stat() {
  local mode="" uid="" gid="" user="" group="" newer="" older="" file
  while [[ ${1:-} == -* ]]; do case $1 in
    -m) mode=$2 ;; -u) uid=$2 ;; -g) gid=$2 ;; -U) user=$2 ;; -G) group=$2 ;; -n) newer=$2 ;; -o) older=$2 ;; -[A-Za-z]) ;;
  esac; shift 2; done
  for file in "$@"; do
    [ -e "$file" ] || die "$file is missing"
    [ -z "$mode" ] || [ "$((8#$(stat -Lc %a "$file")))" -eq "$((8#$(digits "$mode")))" ] || die "$file has mode $(stat -Lc %a "$file"), should be $mode"
    [ -z "$uid" ] || [ "$(stat -Lc %u "$file")" = "$uid" ] || die "$file is owned by uid $(stat -Lc %u "$file"), should be $uid"
    [ -z "$gid" ] || [ "$(stat -Lc %g "$file")" = "$gid" ] || die "$file has gid $(stat -Lc %g "$file"), should be $gid"
    [ -z "$user" ] || [ "$(stat -Lc %U "$file")" = "$user" ] || die "$file is owned by $(stat -Lc %U "$file"), should be $user"
    [ -z "$group" ] || [ "$(stat -Lc %G "$file")" = "$group" ] || die "$file has group $(stat -Lc %G "$file"), should be $group"
    [ -z "$newer" ] || [ $(($(date +%s) - $(stat -Lc %Y "$file"))) -le "$newer" ] || die "$file has not changed for $newer s"
    [ -z "$older" ] || [ $(($(date +%s) - $(stat -Lc %Y "$file"))) -ge "$older" ] || die "$file has changed within $older s"
  done
}
# Processes as `user comm` and, with -f, the whole command line.
check_ps_service() {
  local user="" daemon="" full=0 name
  while [[ ${1:-} == -* ]]; do case $1 in
    -u|-o) user=$2; shift 2 ;; -d) daemon=$2; shift 2 ;; -m) daemon=$2; shift 2 ;; -e|-E) shift 2 ;; -f) full=1; shift ;; *) shift ;;
  esac; done
  name=${daemon:-$1}
  local u c line
  while read -r u c line; do
    [ -z "$user" ] || [ "$u" = "$user" ] || continue
    if [ $full -eq 1 ]; then mcheck "$line" "$name" && return 0
    else mcheck "$c" "$name" && return 0; fi
  done < <(ps -eo user:32=,comm=,args=)
  die "$name is not running${user:+ as $user}"
}
check_ps_daemon() { if [ -n "${2:-}" ]; then check_ps_service -u "$2" "$1"; else check_ps_service "$1"; fi; }
check_ps_blacklist() {
  local name=$1 owner=${2:-} u c
  while read -r u c; do
    mcheck "$c" "$name" || continue
    [ -z "$owner" ] || mcheck "$u" "$owner" || continue
    die "forbidden process $c of $u is running"
  done < <(ps -eo user:32=,comm=)
}
check_ps_loadavg() {
  local one five fifteen rest; read -r one five fifteen rest < /proc/loadavg
  local i values=("$one" "$five" "$fifteen") limits=("${1:-}" "${2:-}" "${3:-}")
  for i in 0 1 2; do
    [ -z "${limits[i]}" ] || awk "BEGIN{exit !(${values[i]} <= ${limits[i]//[^0-9.]/})}" || die "load average ${values[i]} is above ${limits[i]}"
  done
}
check_ps_time() { true; }
check_cmd_status() {
  local seconds=5 want=0
  while [[ ${1:-} == -* ]]; do case $1 in -t) seconds=$2 ;; -r) want=$2 ;; esac; shift 2; done
  timeout "$seconds" "$@" >/dev/null 2>&1; local rc=$?
  [ "$rc" -eq "$want" ] || die "$1 returned $rc, should be $want"
}
check_cmd_output() {
  local seconds=5 want=0 matches=() match said line found
  while [[ ${1:-} == -* ]]; do case $1 in -t) seconds=$2 ;; -r) want=$2 ;; -m) matches+=("$2") ;; esac; shift 2; done
  said=$(timeout "$seconds" "$@" 2>&1); local rc=$?
  [ "$rc" -eq "$want" ] || die "$1 returned $rc, should be $want"
  for match in "${matches[@]}"; do
    found=1
    while IFS= read -r line; do mcheck "$line" "$match" && { found=0; break; }; done <<<"$said"
    [ $found -eq 0 ] || die "the output of $1 has no line that matches $match"
  done
}
check_net_ping() { local host; for host in "$@"; do [[ $host == -* ]] || ping -c 1 -W 2 "$host" >/dev/null 2>&1 || die "$host does not answer"; done; }
words=()
for word in "$@"; do
  if [[ $word == '=(('*'))' ]]; then word=${word#=((}; word=${word%))}; words+=("$((word))"); else words+=("$word"); fi
done
declare -F -- "${words[0]}" >/dev/null || { echo "there is no check ${words[0]} here"; exit 127; }
"${words[@]}"
)bash";

}  // namespace faultline
