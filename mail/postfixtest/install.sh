#!/bin/sh
# Installs the Postfix and the Dovecot that the tests start for themselves. Nothing that it installs is started, now or when the
# machine starts, and no other mail server is removed for it.
set -eu
PATH="$PATH:/usr/sbin"
needs=
command -v postconf >/dev/null || needs="postfix"
command -v dovecot >/dev/null || needs="$needs dovecot-core"
[ -n "$needs" ] || exit 0

install="apt-get install -y --no-install-recommends --no-remove $needs"
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "For these tests is missing: $needs. It cannot be installed from here. Install it, then try again:"
	echo "  Debian, Ubuntu: $install"
	exit 1
fi
echo "Missing: $needs. Installing: $install"

# What this file answers decides whether a service is started that was installed.
policy=/usr/sbin/policy-rc.d
kept=
if [ -e "$policy" ]; then
	kept=$(mktemp)
	cp -p "$policy" "$kept"
fi
restore() {
	rm -f "$policy"
	[ -z "$kept" ] || mv "$kept" "$policy"
}
trap restore EXIT
trap 'exit 1' HUP INT TERM
rm -f "$policy"
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
if command -v debconf-set-selections >/dev/null; then
	echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
fi
$install
for package in $needs; do
	service=${package%-core}
	update-rc.d "$service" disable >/dev/null 2>&1 || true # where there is such a thing
	systemctl disable --quiet "$service" 2>/dev/null || true
done
