// Node Health Check's checks, our own words for its documented behaviour: each is a bash function
// that returns 0 when all is well, else says why and ends with 1. Arguments are data; no check
// changes the host (restart, kill, remount and actions are read and not taken). What cannot be told
// here ends with 127. A path that is no mount point is judged by the file system that holds it.
#pragma once

#include <string_view>

namespace faultline {

inline constexpr std::string_view kNhcChecks = R"bash(# faultline-nhc
set -u -f
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
NONFATAL=0
# With -0 what is wrong is said and passed over.
die() { echo "$*"; [ "$NONFATAL" -eq 0 ] || exit 0; exit 1; }
unknown() { echo "$*"; exit 127; }
misused() { unknown "$1: option -$OPTARG is not known, or has no value"; }
# Shell arithmetic runs what it finds in brackets: only digits may come to it.
digits() { local text=${1//[^0-9]/}; echo "$((10#${text:-0}))"; }
read -r HW_SOCKETS HW_CORES HW_THREADS < <(awk -F': *' '
  /^processor/{n++} /^physical id/&&!seen[$2]++{s++} /^siblings/{t=$2} /^cpu cores/{c=$2}
  END{if(!s)print n,n,n; else if(c)print s,s*c,t?s*t:0; else print 1,1,1}' /proc/cpuinfo)
mem() { awk -v key="$1:" '$1==key{print $2}' /proc/meminfo; }
HW_RAM_TOTAL=$(mem MemTotal) HW_SWAP_TOTAL=$(mem SwapTotal) HW_SWAP_FREE=$(mem SwapFree)
HW_RAM_FREE=$(awk '$1=="MemFree:"||$1=="Buffers:"||$1=="Cached:"{sum+=$2}END{print sum}' /proc/meminfo)
# A size as NHC has it: 32gb, 1k, 3MB, plain is kB (and so is b); prints kB.
kb() {
  local text=${1%[bB]} number unit
  number=${text%%[!0-9.]*}; unit=${text#"$number"}
  case ${unit,,} in ''|k) unit=1 ;; m) unit=1024 ;; g) unit=1048576 ;; t) unit=1073741824 ;; p) unit=1099511627776 ;;
    e) unit=1125899906842624 ;; *) number="" ;; esac
  [ -n "$number" ] || { echo "size \"$1\" is not understood"; return 1; }
  awk "BEGIN{printf \"%d\", $number*$unit}"
}
# {n[01-14].a,m9}: an end has as many digits as the node must have.
in_range() {
  local node=$1 item items middle low high width range='^([-a-zA-Z0-9_]*)\[([0-9]+)-([0-9]+)\]([-.a-zA-Z0-9]*)$'
  IFS=, read -ra items <<<"$2"
  for item in "${items[@]}"; do
    if [[ ! $item =~ $range ]]; then [[ $node == "$item" ]] && return 0; continue; fi
    low=${BASH_REMATCH[2]} high=${BASH_REMATCH[3]}
    [[ $node == "${BASH_REMATCH[1]}"*"${BASH_REMATCH[4]}" ]] || continue
    middle=${node#"${BASH_REMATCH[1]}"}; middle=${middle%"${BASH_REMATCH[4]}"}
    width=${#low}; [ ${#high} -le "$width" ] || width=${#high}
    [[ ! $middle =~ ^[0-9]+$ || ${#middle} -ne $width ]] && continue
    [ "$((10#$low))" -le "$((10#$high))" ] || { local swap=$low; low=$high high=$swap; }
    [ "$((10#$low))" -le "$((10#$middle))" ] && [ "$((10#$middle))" -le "$((10#$high))" ] && return 0
  done
  return 1
}
# NHC's match strings: glob, /expression/, {range}, each perhaps inverted by !.
mcheck() {
  local text=$1 match=$2 invert=0 rc=1
  if [[ $match == '!'* ]]; then invert=1; match=${match#!}; fi
  if [[ $match == /*/ && ${#match} -gt 1 ]]; then match=${match#/}; match=${match%/}; [[ $text =~ $match ]] && rc=0
  elif [[ $match == '{'*'}' ]]; then match=${match#?}; in_range "$text" "${match%?}" && rc=0
  else [[ $text == $match ]] && rc=0; fi
  return $((rc ^ invert))
}
# all_match WHERE MATCH…, lines on stdin: each must match one, an inverted one none.
all_match() {
  local where=$1 line match lines=(); shift
  mapfile -t lines
  for match in "$@"; do
    local found=1; [[ $match == '!'* ]] && found=0
    for line in "${lines[@]}"; do
      if [[ $match != '!'* ]]; then mcheck "$line" "$match" && { found=0; break; }
      elif mcheck "$line" "${match#!}"; then die "$where has a line that matches ${match#!}"; fi
    done
    [ $found -eq 0 ] || die "$where has no line that matches $match"
  done
}
# within WHAT VALUE LOW HIGH FUDGE: a fudge in % is of the value.
within() {
  local what=$1 value=$2 low high fudge=0
  low=$(kb "$3") || unknown "$low"; high=$(kb "${4:-$3}") || unknown "$high"
  case "${5:-}" in '') ;; *%) fudge=$((value * $(digits "$5") / 100)) ;; *) fudge=$(kb "$5") || unknown "$fudge" ;; esac
  [ "$((value + fudge))" -ge "$low" ] || die "$what $value kB is less than minimum allowed $low kB"
  [ "$((value - fudge))" -le "$high" ] || die "$what $value kB is more than maximum allowed $high kB"
}
at_least() { local least; least=$(kb "$3") || unknown "$least"; [ "$2" -ge "$least" ] || die "free $1 $2 kB is less than $3"; }
check_hw_cpuinfo() {
  [ -z "${1:-}" ] || [ "$HW_SOCKETS" -eq "$1" ] || die "CPU sockets: $HW_SOCKETS, should be $1"
  [ -z "${2:-}" ] || [ "$HW_CORES" -eq "$2" ] || die "CPU cores: $HW_CORES, should be $2"
  [ -z "${3:-}" ] || [ "$HW_THREADS" -eq "$3" ] || die "CPU threads: $HW_THREADS, should be $3"
}
check_hw_physmem() { within "RAM" "$HW_RAM_TOTAL" "$@"; }
check_hw_swap() { within "swap" "$HW_SWAP_TOTAL" "$@"; }
check_hw_mem() { within "memory" "$((HW_RAM_TOTAL + HW_SWAP_TOTAL))" "$@"; }
check_hw_physmem_free() { at_least RAM "$HW_RAM_FREE" "$1"; }
check_hw_swap_free() { at_least swap "$HW_SWAP_FREE" "$1"; }
check_hw_mem_free() { at_least memory "$((HW_RAM_FREE + HW_SWAP_FREE))" "$1"; }
check_hw_eth() { awk -F: -v dev="$1" '{gsub(/ /,"",$1)} $1==dev{found=1} END{exit !found}' /proc/net/dev || die "interface $1 is not there"; }
check_hw_gm() { check_hw_eth "$1"; grep -q '^gm ' /proc/modules || die "the driver of $1 is not loaded"; }
check_hw_ib() {
  local rate=${1:-} want=${2:-} port ports name; set +f; ports=(/sys/class/infiniband/*/ports/*); set -f
  for port in "${ports[@]}"; do
    [ -e "$port/state" ] || continue
    name=${port#/sys/class/infiniband/}; name=${name%%/*}
    [ -z "$want" ] || [ "$want" = "$name" ] || [ "$want" = "$name:${port##*/}" ] || continue
    [[ $(cat "$port/state") == *ACTIVE* && $(cat "$port/phys_state") == *LinkUp* ]] || continue
    [ -z "$rate" ] || [[ $(cat "$port/rate") == "$rate "* ]] && return 0
  done
  die "no IB port $want is ACTIVE and LinkUp${rate:+ at $rate Gb/s}"
}
check_hw_mcelog() {
  command -v mcelog >/dev/null || return 0
  local said kind limit corrected=${MCELOG_MAX_CORRECTED_RATE-9} uncorrected=${MCELOG_MAX_UNCORRECTED_RATE-0}
  said=$(timeout 5 mcelog --client 2>&1)
  [[ -n $said && $said != *"onnection refused"* && $said != *"No such file"* ]] || return 0
  [ -n "$corrected" ] && [ -n "$uncorrected" ] || die "mcelog has errors"
  for kind in corrected uncorrected; do
    limit=$(digits "${!kind}")
    awk -v head="$kind memory errors:" -v limit="$limit" '$0==head{at=NR+2} at&&NR==at&&$1>limit{bad=1} END{exit bad}' <<<"$said" ||
      die "mcelog counts more than $limit $kind memory errors in a day"
  done
}
# Handle, type and "type: section: entry" of each line of DMI, separated by tabs.
dmi() {
  command -v dmidecode >/dev/null || unknown "dmidecode is not installed"
  dmidecode 2>/dev/null | awk '/^Handle /{h=$2; sub(/,/,"",h); head=""; next} /^[^ \t]/{head=$0; next}
    /^\t\t/{sub(/^\t+/,""); print h "\t" head "\t" head ": " part ": " $0; next}
    /^\t/{sub(/^\t/,""); part=$0; sub(/:.*$/,"",part); print h "\t" head "\t" head ": " $0}'
}
check_dmi_data_match() {
  local handle="" type="" negative=0 found=1 h t line o
  while getopts ':!nh:t:' o; do case $o in '!'|n) negative=1 ;; h) handle=$OPTARG ;; t) type=$OPTARG ;; *) misused "$FUNCNAME" ;; esac; done
  shift $((OPTIND - 1)); [ "${1:-}" != '!' ] || { negative=1; shift; }
  local all; all=$(dmi) || unknown "$all"
  while IFS=$'\t' read -r h t line; do
    [ -z "$handle" ] || [ "$h" = "$handle" ] || continue
    [ -z "$type" ] || mcheck "$t" "$type" || continue
    mcheck "$line" "$1" && { found=0; break; }
  done <<<"$all"
  [ $found -eq $negative ] || { [ $negative -eq 1 ] && die "a DMI entry matches \"$1\""; die "no DMI entry matches \"$1\""; }
}
check_dmi_raw_data_match() { command -v dmidecode >/dev/null || unknown "dmidecode is not installed"; all_match "DMI" "${@/#/*}" < <(dmidecode 2>/dev/null); }
# Sets source, fstype, options of what is mounted last at $1.
mounted() {
  source="" fstype="" options=""
  local s p t o rest
  while read -r s p t o rest; do [ "$(printf %b "$p")" = "$1" ] && source=$s fstype=$t options=$o; done < /proc/mounts
  [ -n "$source" ]
}
check_fs_mount() {
  local sources=() types=() wanted=() points=() point match o source fstype options
  if [[ ${1:-} == /* ]]; then  # the old form: POINT [SOURCE [TYPE [OPTIONS]]]
    points=("$1"); [ -z "${2:-}" ] || sources=("$2"); [ -z "${3:-}" ] || types=("$3"); [ -z "${4:-}" ] || wanted=("$4")
  else
    while getopts ':0rE:F:O:e:f:o:s:t:' o; do case $o in
      0) NONFATAL=1 ;; f) points+=("$OPTARG") ;; F) points+=("$OPTARG"); timeout 5 stat "$OPTARG/." >/dev/null 2>&1 ;;
      s) sources+=("$OPTARG") ;; t) types+=("$OPTARG") ;; o) wanted+=("$OPTARG") ;; r|E|O|e) ;; *) misused "$FUNCNAME" ;;
    esac; done
    shift $((OPTIND - 1)); points+=("$@")
  fi
  for point in "${points[@]}"; do
    mounted "$point" || die "$point is not mounted"
    for match in "${sources[@]}"; do mcheck "$source" "$match" || die "$point has source $source, should match $match"; done
    for match in "${types[@]}"; do mcheck "$fstype" "$match" || die "$point has type $fstype, should match $match"; done
    for match in "${wanted[@]}"; do mcheck "$options" "$match" || die "$point has options $options, should match $match"; done
  done
}
mount_as() {
  local option="/(^|,)$1(\$|,)/"; shift
  if [[ ${1:-} == /* ]]; then check_fs_mount "$1" "${2:-}" "${3:-}" "$option"; else check_fs_mount -o "$option" "$@"; fi
}
check_fs_mount_rw() { mount_as rw "$@"; }
check_fs_mount_ro() { mount_as ro "$@"; }
# Sets TOTAL USED FREE (kB, or inodes with ki) and PERCENT used, rounded up, as df says.
fs() {
  local line; line=$(timeout 5 df -P${2:-k} "$1" 2>/dev/null | tail -n 1); [ -n "$line" ] || die "$1 does not answer"
  set -- $line; TOTAL=$2 USED=$3 FREE=$4 PERCENT=$(digits "$5")
  [ "$TOTAL" != - ] || TOTAL=0
}
# A number of inodes: 100, 1k, 2M.
count() { case ${1,,} in *k) echo $(($(digits "$1") * 1000)) ;; *m) echo $(($(digits "$1") * 1000000)) ;; *g) echo $(($(digits "$1") * 1000000000)) ;; *) digits "$1" ;; esac; }
# free_of POINT LEAST READ UNIT, used_of POINT MOST READ UNIT: by percentage, or as READ reads it.
free_of() {
  local least; [ "$TOTAL" != 0 ] && [ -n "$2" ] || return 0
  if [[ $2 == *% ]]; then [ "$((100 - PERCENT))" -ge "$(digits "$2")" ] || die "$1 has only $((100 - PERCENT))% $4 free, should be at least $2"
  else least=$($3 "$2") || unknown "$least"; [ "$FREE" -ge "$least" ] || die "$1 has only $FREE $4 free, should be at least $2"; fi
}
used_of() {
  local most; [ "$TOTAL" != 0 ] && [ -n "$2" ] || return 0
  if [[ $2 == *% ]]; then [ "$PERCENT" -lt "$(digits "$2")" ] || die "$1 has $PERCENT% $4 used, should be less than $2"
  else most=$($3 "$2") || unknown "$most"; [ "$USED" -lt "$most" ] || die "$1 has $USED $4 used, should be less than $2"; fi
}
total_of() {
  local bound; [ "$TOTAL" != 0 ] || return 0
  [ -z "$2" ] || { bound=$($4 "$2") || unknown "$bound"; [ "$TOTAL" -ge "$bound" ] || die "$1 has $TOTAL $5, should have at least $2"; }
  [ -z "$3" ] || { bound=$($4 "$3") || unknown "$bound"; [ "$TOTAL" -le "$bound" ] || die "$1 has $TOTAL $5, should have at most $3"; }
}
check_fs_size() { fs "$1"; total_of "$1" "${2:-}" "${3:-}" kb kB; }
check_fs_free() { fs "$1"; free_of "$1" "$2" kb kB; }
check_fs_used() { fs "$1"; used_of "$1" "$2" kb kB; }
check_fs_inodes() { fs "$1" ki; total_of "$1" "${2:-}" "${3:-}" count inodes; }
check_fs_ifree() { fs "$1" ki; free_of "$1" "$2" count inodes; }
check_fs_iused() { fs "$1" ki; used_of "$1" "$2" count inodes; }
each_fs() {
  local check=$1 type=$2 s p t rest; shift 2
  while read -r s p t rest; do mcheck "$t" "$type" && "$check" "$(printf %b "$p")" "$@"; done < /proc/mounts
  return 0
}
for word in size free used inodes ifree iused; do eval "check_all_fs_$word() { each_fs check_fs_$word \"\$@\"; }"; done
check_file_test() {
  local tests=() files=() file one negative=0 o rc
  while getopts ':!GLNOSabcdefghkprstuwx' o; do case $o in '!') negative=1 ;; '?'|:) misused "$FUNCNAME" ;; *) tests+=("-$o") ;; esac; done
  shift $((OPTIND - 1))
  [ ${#tests[@]} -gt 0 ] && [ $# -gt 0 ] || unknown "$FUNCNAME: a test and a file are needed"
  for file in "$@"; do
    if [[ $file == *[*?[]* ]]; then set +f; IFS= ; files+=($file); unset IFS; set -f; else files+=("$file"); fi
  done
  for file in "${files[@]}"; do for one in "${tests[@]}"; do
    test "$one" "$file"; rc=$?
    [ $((rc == 0)) -ne $negative ] || die "$file fails test $([ $negative -eq 0 ] || echo 'not ')$one"
  done; done
}
check_file_contents() { local file=$1; shift; [ -r "$file" ] || die "$file cannot be read"; all_match "$file" "$@" < "$file"; }
check_file_stat() {
  local o file now wants=() want value
  while getopts ':B:D:G:M:N:O:P:S:T:U:b:c:d:g:m:n:o:p:s:t:u:' o; do case $o in
    [BSbcs]) unknown "$FUNCNAME: option -$o is not known here" ;; ':'|'?') misused "$FUNCNAME" ;; *) wants+=("$o$OPTARG") ;;
  esac; done
  shift $((OPTIND - 1)); now=$(date +%s)
  for file in "$@"; do
    [ -e "$file" ] || [ -L "$file" ] || die "$file is missing"
    for want in "${wants[@]}"; do
      value=${want:1}
      is() { local has; has=$(stat -c "$2" "$file"); [ "$has" = "$value" ] || die "$file has $1 $has, should be $value"; }
      hex() { local has; has=$((16#$(stat -c "$2" "$file"))); [ "$has" -eq "$(printf %d "$value")" ] || die "$file has $1 $has, should be $value"; }
      age() { local age=$((now - $(stat -c "$2" "$file"))); [ "$age" "$3" "$(digits "$value")" ] || die "$file: $1 $age s ago, should be ${4} than $value s"; }
      mode() {
        local has=$((8#$(stat -c %a "$file"))) bits
        [[ $value =~ ^[0-7]+$ ]] || unknown "$FUNCNAME: \"$value\" is no mode"
        bits=$((8#$value))
        [ "$((has & $1))" -eq "$bits" ] || die "$file has mode $(stat -c %a "$file"), should be $value"
      }
      case $want in
        u*) is uid %u ;; g*) is gid %g ;; U*) is owner %U ;; G*) is group %G ;;
        d*|D*) hex "device" %D ;; t*) hex "major number" %t ;; T*) hex "minor number" %T ;;
        n*) age changed %Y -le newer ;; o*) age changed %Y -gt older ;; N*) age "inode changed" %Z -le newer ;; O*) age "inode changed" %Z -gt older ;;
        m*|p*) mode 4095 ;; M*|P*) [[ $value =~ ^[0-7]+$ ]] && mode "$((8#$value))" ;;
      esac
    done
  done
}
# A line a process, but for such checks themselves: pid user uid cpu memory rss vsz time comm args.
processes() {
  command -v ps >/dev/null || unknown "ps is not installed"
  ps -eo pid=,user:32=,uid=,pcpu=,pmem=,rss=,vsz=,bsdtime=,comm=,args= |
    awk '{args=""; for(i=10;i<=NF;i++) args=args (i>10?" ":"") $i} args!~/^\/bin\/bash -c # faultline-nhc/ && args!~/^(ps -eo pid=|awk [{]args=)/'
}
user_of() { if [[ $1 =~ ^[0-9]+$ ]]; then id -nu "$1" 2>/dev/null || echo "$1"; else echo "$1"; fi; }
check_ps_service() {
  local owner="" daemon="" match="" full=0 unwanted=0 o pid user uid cpu mem rss vsz time comm args first
  while getopts ':0E:SVcd:e:fkm:rsu:v' o; do case $o in
    0) NONFATAL=1 ;; d) daemon=$OPTARG ;; m) match=$OPTARG ;; f) full=1 ;; u) owner=$(user_of "$OPTARG") ;; k|s|E) unwanted=1 ;;
    S|V|c|e|r|v) ;; *) misused "$FUNCNAME" ;;
  esac; done
  shift $((OPTIND - 1)); [ -n "$*" ] || unknown "$FUNCNAME: which service?"
  daemon=${daemon:-$*}; match=${match:-*$daemon}
  while read -r pid user uid cpu mem rss vsz time comm args; do
    first=${args%% *}
    if [ $full -eq 1 ]; then mcheck "$args" "$match" || continue
    else mcheck "$first" "$match" || mcheck "${first%:}" "$match" || mcheck "$comm" "$match" || continue; fi
    [ -z "$owner" ] || mcheck "$user" "$owner" || continue
    [ $unwanted -eq 0 ] || die "$daemon is running${owner:+ as $owner}, and should not"
    return 0
  done < <(processes)
  [ $unwanted -eq 1 ] || die "$daemon is not running${owner:+ as $owner}"
}
# runs TEXT OWNER: whether a command line has TEXT in it.
runs() {
  local pid user uid cpu mem rss vsz time comm args
  while read -r pid user uid cpu mem rss vsz time comm args; do
    [[ $args == *$1* ]] && { [ -z "$2" ] || mcheck "$user" "$2"; } && return 0
  done < <(processes)
  return 1
}
check_ps_daemon() { runs "$1${3:+ $3}" "${2:-}" || die "$1 is not running${2:+ as $2}"; }
check_ps_blacklist() { ! runs "$1${3:+ $3}" "${2:-}" || die "forbidden process $1 is running${2:+, owner $2}"; }
check_ps_loadavg() {
  local values rest i=0 limit; read -r -a values < /proc/loadavg
  for limit in "${1:-}" "${2:-}" "${3:-}"; do
    [ -z "$limit" ] || [ "${values[i]%%.*}" -lt "$(digits "${limit%%.*}")" ] || die "load average ${values[i]} reaches $limit"
    i=$((i + 1))
  done
}
# Whose processes are looked at: those of people, or with -A all.
system_uid() { local most; most=$(awk '$1=="SYS_UID_MAX"{s=$2} $1=="UID_MIN"{u=$2-1} END{print s?s:u}' /etc/login.defs 2>/dev/null); echo "${most:-99}"; }
resource() {
  local what=$1 everybody=0 full=0 match='*' owner="" limit most o pid user uid cpu mem rss vsz time comm args value
  shift
  while getopts ':0AKae:fklm:r:su:' o; do case $o in
    0) NONFATAL=1 ;; A) everybody=1 ;; f) full=1 ;; m) match=$OPTARG ;; u) owner=$(user_of "$OPTARG") ;; K|a|e|k|l|r|s) ;; *) misused "$what" ;;
  esac; done
  shift $((OPTIND - 1)); limit=${1:-}; [ -n "$limit" ] || unknown "$what: a limit is needed"
  most=$(digits "${MAX_SYS_UID:-$(system_uid)}")
  case $what:$limit in
    check_ps_cpu:*|check_ps_physmem:*%) limit=$(digits "$limit") ;;
    check_ps_mem:*%) unknown "$what: no percentage" ;;
    check_ps_time:*[Mm]*) limit=$(($(digits "${limit%%[Mm]*}") * 60 + $(digits "${limit##*[Mm]}"))) ;;
    check_ps_time:*) limit=$(digits "$limit") ;;
    *) limit=$(kb "$limit") || unknown "$limit" ;;
  esac
  while read -r pid user uid cpu mem rss vsz time comm args; do
    [ $everybody -eq 1 ] || [ "$uid" -gt "$most" ] || continue
    [ $full -eq 1 ] || args=${args%% *}
    mcheck "$args" "$match" || continue
    [ -z "$owner" ] || mcheck "$user" "$owner" || continue
    case $what in
      check_ps_cpu) value=${cpu%%.*} ;; check_ps_mem) value=$vsz ;; check_ps_time) value=$((10#${time%%:*} * 60 + 10#${time##*:})) ;;
      *) if [[ ${1:-} == *% ]]; then value=${mem%%.*}; else value=$rss; fi ;;
    esac
    [ "$value" -lt "$limit" ] || die "$what: process $pid ($args) of $user reaches $1"
  done < <(processes)
}
check_ps_cpu() { resource "$FUNCNAME" "$@"; }
check_ps_mem() { resource "$FUNCNAME" "$@"; }
check_ps_physmem() { resource "$FUNCNAME" "$@"; }
check_ps_time() { resource "$FUNCNAME" "$@"; }
check_ps_kswapd() {
  local limit=$(digits "$1") factor=$(digits "$2") action pid user uid cpu mem rss vsz time comm args value least="" most=0 n=0; shift 2
  [ $# -eq 0 ] || [[ " $* " == *" die "* ]] || NONFATAL=1
  while read -r pid user uid cpu mem rss vsz time comm args; do
    [[ $comm == kswapd* ]] || continue
    value=$((10#${time%%:*} * 60 + 10#${time##*:})); n=$((n + 1))
    [ -n "$least" ] && [ "$least" -le "$value" ] || least=$value
    [ "$most" -ge "$value" ] || most=$value
  done < <(processes)
  [ $n -gt 1 ] || return 0
  [ "$most" -le "$limit" ] || die "a kswapd has used $most s, the limit is $limit s"
  if [ "$least" -eq 0 ]; then [ "$most" -le $((limit / 2)) ]; else [ $((most / least)) -le "$factor" ]; fi || die "kswapd threads have used from $least to $most s"
}
check_ps_unauth_users() { unknown "who may run here is known to the resource manager only"; }
check_ps_userproc_lineage() { unknown "whose processes these are is known to the resource manager only"; }
program() { local said; said=$("$@" 2>&1) && return 0; die "$1 returned $?: ${said%%$'\n'*}"; }
check_cmd_status() {
  local seconds=5 want=0 o
  while getopts ':C:r:t:' o; do case $o in t) seconds=$OPTARG ;; r) want=$OPTARG ;; C) ;; *) misused "$FUNCNAME" ;; esac; done
  shift $((OPTIND - 1))
  timeout "$seconds" "$@" >/dev/null 2>&1 </dev/null; local rc=$?
  [ "$rc" -eq "$want" ] || die "$1 returned $rc, should be $want"
}
check_cmd_output() {
  local seconds=5 want=0 matches=() said o
  while getopts ':C:O:M:m:r:t:' o; do case $o in t) seconds=$OPTARG ;; r) want=$OPTARG ;; m) matches+=("$OPTARG") ;; C|O|M) ;; *) misused "$FUNCNAME" ;; esac; done
  shift $((OPTIND - 1))
  said=$(timeout "$seconds" "$@" 2>/dev/null </dev/null); local rc=$?
  [ "$rc" -eq "$want" ] || die "$1 returned $rc, should be $want"
  [ ${#matches[@]} -eq 0 ] || all_match "the output of $1" "${matches[@]}" <<<"$said"
}
check_net_ping() {
  local options=() host o bounded=0
  while getopts ':I:W:c:i:s:t:w:' o; do case $o in '?'|:) misused "$FUNCNAME" ;; *) options+=("-$o" "$OPTARG"); [[ $o != [cw] ]] || bounded=1 ;; esac; done
  shift $((OPTIND - 1)); [ $bounded -eq 1 ] || options+=(-c 1)
  command -v ping >/dev/null || unknown "ping is not installed"
  for host in "$@"; do ping -q -n "${options[@]}" "$host" >/dev/null 2>&1 || die "$host does not answer"; done
}
# place WANT HAVE: an address of ss against ADDRESS[:PORT].
place() { [ -z "$1" ] || mcheck "$2" "$1" || mcheck "${2%:*}" "$1"; }
check_net_socket() {
  local negative=0 found=1 name=socket proto="" state="" here="" there="" user="" daemon="" o p s q1 q2 l r rest
  while getopts ':!0E:ad:e:l:n:p:r:s:t:u:' o; do case $o in
    '!') negative=1 ;; 0) NONFATAL=1 ;; n) name=$OPTARG ;; p) proto=${OPTARG,,} ;; s) state=$OPTARG ;; l) here=$OPTARG ;; r) there=$OPTARG ;;
    u) user=$OPTARG ;; d) daemon=$OPTARG ;; E|a|e) ;; t) unknown "$FUNCNAME: option -t is not known here" ;; *) misused "$FUNCNAME" ;;
  esac; done
  command -v ss >/dev/null || unknown "ss is not installed"
  [[ $user =~ ^[0-9]*$ ]] || user=$(id -u "$user" 2>/dev/null) || die "there is no user $user"
  case $state in ESTABLISHED) state=ESTAB ;; TIME_WAIT) state=TIME-WAIT ;; CLOSE_WAIT) state=CLOSE-WAIT ;; esac
  while read -r p s q1 q2 l r rest; do
    if [[ $p == u_* ]]; then p=unix; fi
    [ -z "$proto" ] || mcheck "$p" "${proto%6}" || continue
    [ -z "$state" ] || mcheck "$s" "$state" || continue
    place "$here" "$l" && place "$there" "$r" || continue
    [ -z "$user" ] || [[ " $rest " == *" uid:$user "* ]] || [ "$user:${rest/uid:/}" = "0:$rest" ] || continue
    [ -z "$daemon" ] || [[ $rest == *"(\"$daemon\","* ]] || continue
    found=0; break
  done < <(ss -Hanpe -A inet,unix 2>/dev/null)
  [ $found -eq $negative ] || { [ $negative -eq 1 ] && die "$name is there, and should not"; die "$name is not there"; }
}
run() {
  [[ $1 == check_* || $1 == program ]] && declare -F -- "$1" >/dev/null || unknown "there is no check $1 here"
  OPTIND=1; ( "$@" ) || exit $?
}
words=()
for word in "$@"; do
  if [[ $word == $'\003' ]]; then run "${words[@]}"; words=(); continue; fi
  if [[ $word == '=(('*'))' ]]; then word=${word#=((}; word=${word%))}; word=$((word)); fi
  while [[ $word == *$'\001'*$'\002'* ]]; do
    name=${word#*$'\001'}; name=${name%%$'\002'*}; word=${word/$'\001'"$name"$'\002'/${!name}}
  done
  words+=("$word")
done
run "${words[@]}"
)bash";

}  // namespace faultline
