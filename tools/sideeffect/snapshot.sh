# Prints what tools/sideeffect compares of this machine, or of the folder ROOT, as fields that end with NUL: a tag, and what
# belongs to it. Needs bash, findutils, coreutils and grep; writes nothing, and prints no line that holds a secret.
export LC_ALL=C
shopt -s nullglob
ROOT=${ROOT:-}
cd "$ROOT/" || exit
field() { printf '%s\0' "$@"; }
field firedrill-snapshot-1

# Files. What is small and belongs to no package is read as well, once find has ended (sort waits for that).
prune=(-path ./proc -o -path ./sys -o -path ./dev)
if [[ -z $ROOT ]]; then
  while read -r _ where kind _; do
    case $kind in
      proc | sysfs | cgroup | cgroup2 | devpts | devtmpfs | mqueue | debugfs | tracefs | securityfs | pstore | bpf | configfs | \
        hugetlbfs | fusectl | binfmt_misc | autofs | rpc_pipefs | nsfs | efivarfs) ;;
      nfs | nfs4 | cifs | smb3 | ceph | fuse.sshfs) field note "the files below $where: they are on another machine ($kind)" ;;
      *) continue ;;
    esac
    where=$(printf '%b' "${where//\\/\\0}")
    [[ $where == / || $where == /proc/* || $where == /sys/* || $where == /dev/* ]] && continue
    where=${where//\\/\\\\} where=${where//\*/\\*} where=${where//\?/\\?} where=${where//\[/\\[}
    prune+=(-o -path ".$where")
  done </proc/self/mounts
fi
key='^[[:space:]]*(-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----|AGE-SECRET-KEY-([A-Z0-9]+-)*1[A-Z0-9]+)|"d" *: *"[A-Za-z0-9_-]{20,}"'
quote=\'
value="[\"$quote]?[^][:space:]\"$quote\$<>(){}*/%][^[:space:]\"$quote]{7,}"
word='(password|passwd|passphrase|secret|secret_?key|secret_?access_?key|token|api_?key)'
assigned="[\"$quote]?[[:space:]]*[=:][[:space:]]*$value"
credentials="^[[:space:]]*(export[[:space:]]+)?[\"$quote]?[a-z0-9_.-]*$word$assigned[\"$quote,;]*[[:space:]]*\$|(^|[[:space:]])login[[:space:]]+[^[:space:]]+[[:space:]]+password[[:space:]]+[^[:space:]]"
aws="aws_secret_access_key[\"$quote]?[[:space:]]*[=:][[:space:]]*[\"$quote]?[A-Za-z0-9/+]{16,}"
typed="$word$assigned|--$word[= ]$value|authorization: *(bearer|basic) +[^[:space:]\$]{8,}|://[^/@:[:space:]\$]+:[^/@[:space:]\$]{4,}@|curl .*(-u|--user)[ =]?[\"$quote]?[^:[:space:]\$]+:[^[:space:]\$]{4,}|sshpass +-p *[^[:space:]\$]"
contents='
  printf "hashes\0"; sha256sum -z -- "$@"; printf "\0"
  printf "keys\0"; grep -lZE -e "$KEY" -- "$@"; printf "\0"
  printf "credentials\0"; grep -lZiE -e "$CREDENTIALS" -e "$AWS" -- "$@"; printf "\0"'
exec 3>&1
if ! find . -maxdepth 0 -printf '' 2>/dev/null; then
  field note "files: find has no -printf, it is not that of findutils"
elif ! command -v sha256sum grep sort xargs >/dev/null || ! printf '' | sort -z >/dev/null 2>&1 || ! sha256sum -z - </dev/null >/dev/null 2>&1 ||
  ! printf x | grep -qZ x 2>/dev/null; then
  field note "files: sort -z, xargs, sha256sum -z and grep -Z are needed, of GNU coreutils, findutils and grep"
else
  errors=$({
    find . '(' "${prune[@]}" ')' -prune -o -printf 'file\0%y %m %u %g %s %T@ %C@ %i\0%p\0L%l\0' \
      -type f -size +0 -size -65k ! '(' -path './usr/*' ! -path './usr/local/*' ')' ! -path './var/lib/dpkg/*' \
      ! -path './var/lib/apt/*' ! -path './var/cache/*' ! -path './var/log/*' ! -path './boot/*' -fprint0 /dev/fd/5 2>&4 5>&1 >&3 |
      sort -z | KEY=$key CREDENTIALS=$credentials AWS=$aws xargs -0 -r bash -c "$contents" bash 2>/dev/null >&3
  } 4>&1)
  while IFS= read -r error; do
    [[ -z $error || $error == "find: './"*": No such file or directory" ]] || field note "files: $error"
  done <<<"$errors"
fi

# Users, groups and scheduled jobs.
for file in ./etc/passwd ./etc/group ./etc/crontab ./etc/anacrontab ./etc/cron.d/* ./var/spool/cron/* ./var/spool/cron/crontabs/*; do
  if [[ -f $file && -r $file ]]; then
    field text "$file" "$(<"$file")"
  elif [[ -f $file ]]; then
    field note "$file: it cannot be read"
  fi
done 2>/dev/null

# The shells' history: how many lines look like a secret.
if [[ -r ./etc/passwd ]] && command -v grep >/dev/null; then
  declare -A seen=()
  while IFS=: read -r _ _ _ _ _ home _; do
    [[ -z $home || -n ${seen[$home]:-} ]] && continue
    seen[$home]=1
    for file in ".${home%/}"/.{bash,zsh,ash,sh}_history; do
      [[ -s $file ]] && field history "$file" "$(grep -aciE -e "$typed" -e "$key" -e "$aws" -- "$file")"
    done
  done <./etc/passwd
fi

# Listening sockets.
[[ -r ./proc/sys/net/ipv4/ip_local_port_range ]] && field ports "$(<./proc/sys/net/ipv4/ip_local_port_range)"
for protocol in tcp tcp6 udp udp6; do
  if [[ ! -r ./proc/net/$protocol ]]; then
    [[ $protocol == *6 ]] || field note "listening sockets: /proc/net/$protocol cannot be read"
    continue
  fi
  listening=
  while read -r _ address remote state _; do
    [[ $protocol$state == tcp*0A || $protocol$state == udp*07 && $remote == *:0000 ]] && listening+="$address "
  done <"./proc/net/$protocol"
  field sockets "$protocol" "$listening"
done

# systemd's units, where it runs.
if [[ -z $ROOT && -d /run/systemd/system ]]; then
  for list in list-unit-files "list-units --all"; do
    if text=$(systemctl $list --no-legend --no-pager --plain --full 2>/dev/null); then
      field "${list%% *}" "$text"
    else
      field note "units: systemctl $list fails"
    fi
  done
fi
field end
