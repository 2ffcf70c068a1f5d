//go:build postfix

package postfixtest

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mainFile is what all services share. Nothing asks DNS, leaves the machine, or depends on its name.
const mainFile = `compatibility_level = 3.6
myhostname = relay.acme.example
mydomain = acme.example
myorigin = acme.example
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/mail.log
mail_owner = postfix
setgid_group = postdrop
alias_maps =
alias_database =
local_recipient_maps =
default_transport = discard
relay_transport = discard
disable_dns_lookups = yes
smtpd_peername_lookup = no
notify_classes =
header_checks = regexp:%[1]s/etc/header_checks
virtual_mailbox_domains = kunde.example, acme.example
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = regexp:%[1]s/etc/mailboxes
virtual_uid_maps = static:%[2]s
virtual_gid_maps = static:%[3]s
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
message_size_limit = 1000000
smtpd_sasl_type = dovecot
smtpd_sasl_path = %[1]s/auth
smtpd_sasl_security_options = noanonymous
smtpd_sasl_tls_security_options = noanonymous
smtpd_sender_login_maps = texthash:%[1]s/etc/owners
smtpd_client_event_limit_exceptions =
anvil_rate_time_unit = 1h
policy = check_policy_service inet:127.0.0.1:%[4]d
smtpd_policy_service_timeout = 60s

smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions =
`

// masterFile has the parts that a mail passes through here.
const masterFile = `cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

// headerChecks refuse a From that the envelope does not show, after the content: as Exchange Online does.
const headerChecks = `/^From:.*ceo@acme\.example/ REJECT 5.7.60 SMTP; Client does not have permissions to send as this sender
`

// makeQueue makes the folders that postfix-files names, with their owners.
func (s *Server) makeQueue() error {
	postfix, postdrop, err := mailUsers()
	if err != nil {
		return err
	}
	nobody, group, err := nobodyIDs()
	if err != nil {
		return err
	}
	make1 := func(name string, mode os.FileMode, uid, gid int) error {
		path := s.path(name)
		return errors.Join(os.Mkdir(path, 0o700), os.Chown(path, uid, gid), os.Chmod(path, mode))
	}
	err = errors.Join(make1("etc", 0o755, 0, 0), make1("queue", 0o755, 0, 0), make1("queue/pid", 0o755, 0, 0), make1("data", 0o700, postfix, 0),
		make1("queue/maildrop", 0o730, postfix, postdrop), make1("queue/public", 0o710, postfix, postdrop), make1("mail", 0o700, nobody, group))
	for _, name := range []string{"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"} {
		err = errors.Join(err, make1("queue/"+name, 0o700, postfix, 0))
	}
	return err
}

// mailUsers are the user and the group that the package makes.
func mailUsers() (postfix, postdrop int, err error) {
	u, err := user.Lookup("postfix")
	if err != nil {
		return 0, 0, fmt.Errorf("%w: make test-postfix installs Postfix", err)
	}
	g, err := user.LookupGroup("postdrop")
	if err != nil {
		return 0, 0, fmt.Errorf("%w: make test-postfix installs Postfix", err)
	}
	postfix, err1 := strconv.Atoi(u.Uid)
	postdrop, err2 := strconv.Atoi(g.Gid)
	return postfix, postdrop, errors.Join(err1, err2)
}

// nobodyIDs are the user and group that own the delivered mail.
func nobodyIDs() (uid, gid int, err error) {
	u, err := user.Lookup("nobody")
	if err != nil {
		return 0, 0, err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(err1, err2)
}

// writePostfix writes what the services and the maps are now.
func (s *Server) writePostfix() error {
	uid, gid, err := nobodyIDs()
	if err != nil {
		return err
	}
	var owners, master strings.Builder
	for _, address := range slices.Sorted(maps.Keys(s.owners)) {
		if s.owners[address] != "" {
			fmt.Fprintf(&owners, "%s %s\n", address, s.owners[address])
		}
	}
	for _, service := range s.services {
		master.WriteString(s.line(service))
	}
	return errors.Join(
		s.write("etc/main.cf", fmt.Sprintf(mainFile, s.dir, strconv.Itoa(uid), strconv.Itoa(gid), s.policy.port())),
		s.write("etc/master.cf", masterFile+master.String()),
		s.write("etc/owners", owners.String()),
		s.write("etc/header_checks", headerChecks),
		s.write("etc/mailboxes", "!/^"+strings.ReplaceAll(Unknown, ".", `\.`)+"$/ box/\n"))
}

// line is a service in master.cf.
func (s *Server) line(service Service) string {
	settings := []string{"syslog_name = " + service.Name, "smtpd_tls_chain_files = " + s.path("key-"+service.Name+".pem")}
	if service.ImplicitTLS {
		settings = append(settings, "smtpd_tls_wrappermode = yes")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "127.0.0.1:%d inet n - n - - smtpd\n", s.ports[service.Name])
	for _, setting := range append(settings, service.Settings...) {
		fmt.Fprintf(&b, "  -o { %s }\n", setting)
	}
	return b.String()
}

// writeKeys gives each service its certificate.
func (s *Server) writeKeys() error {
	err := s.write(filepath.Base(s.CAFile()), string(s.ca.PEM()))
	for _, service := range s.services {
		certificate, err1 := s.ca.Issue(service.Certificate)
		key, err2 := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})...)
		err = errors.Join(err, os.WriteFile(s.path("key-"+service.Name+".pem"), text, 0o600))
	}
	return err
}
