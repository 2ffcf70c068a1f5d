package jobs

import (
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"outboxd/jobs/jobfile"
	"outboxd/mail/compose/dkim"
)

// signers sign the mails of senders' domains, by the domain as an address has it.
type signers map[string]*signing

// signing is one domain's key, or why it cannot be used.
type signing struct {
	conf   *jobfile.DKIM
	signer *dkim.Signer
	err    error // nil: signer signs
}

// keyPause is how long a row waits whose domain's key cannot be used, and so how long after a reload at most.
const keyPause = 10 * time.Minute

// openSigners reads the keys of a file. One that cannot be used is noted and stops no other.
func openSigners(file *jobfile.File) signers {
	all := signers{}
	for _, conf := range file.DKIM {
		s := &signing{conf: conf}
		if s.signer, s.err = ReadSigner(conf); s.err != nil {
			s.err = fmt.Errorf("the DKIM key of %s cannot be used: %w", conf.Name, s.err)
		}
		all[conf.Name] = s
	}
	return all
}

// ReadSigner reads the key of a domain.
func ReadSigner(conf *jobfile.DKIM) (*dkim.Signer, error) {
	pem, err := conf.Key.ReadText()
	if err != nil {
		return nil, err
	}
	s, err := dkim.New(conf.Name, conf.Selector, pem)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", conf.Key, err)
	}
	return s, nil
}

// of are those that sign for a company.
func (all signers) of(company string) signers {
	some := signers{}
	for domain, s := range all {
		if s.conf.Serves(company) {
			some[domain] = s
		}
	}
	return some
}

// sign returns the message with a signature where the sender's domain has a key, else as it is. A *waitError says that the key
// cannot be used now: the message must not go unsigned.
func (all signers) sign(domain string, message []byte) ([]byte, error) {
	s := all[domain]
	switch {
	case s == nil:
		return message, nil
	case s.err != nil:
		return nil, &waitError{s.err.Error() + "; " + keyRemedy, keyPause}
	}
	signed, err := s.signer.Sign(message)
	if err != nil {
		return nil, &rowError{err.Error()}
	}
	return signed, nil
}

const keyRemedy = "mend it, then: systemctl reload outboxd"

// prints tell whether keys have changed, without being them.
func (all signers) prints() []string {
	var prints []string
	for _, s := range all {
		if s.err != nil {
			prints = append(prints, s.conf.Name+": "+s.err.Error())
		} else {
			prints = append(prints, s.signer.RecordName()+": "+s.signer.Record())
		}
	}
	slices.Sort(prints)
	return prints
}

// broken lists the keys that cannot be used, in the order of the file.
func (w *World) broken() (list []*signing) {
	for _, conf := range w.File.DKIM {
		if s := w.signers[conf.Name]; s.err != nil {
			list = append(list, s)
		}
	}
	return list
}

// tellBroken tells a person of the keys that cannot be used. Only a start goes on with such.
func (e *Engine) tellBroken() {
	for _, s := range e.world.broken() {
		e.log.Error(eventKeyUnusable, zap.String("domain", s.conf.Name), zap.Error(s.err), zap.String("remedy", keyRemedy))
		e.alerts.Start(signingKey(s.conf.Name), "mails of "+s.conf.Name+" cannot be signed",
			fmt.Sprintf("%v\n\nThe mails of this domain wait: they are not sent unsigned. Mend that, then: systemctl reload outboxd", s.err))
	}
}

// endBroken ends the alerts of keys: a reload with one that cannot be used is refused.
func (e *Engine) endBroken(before *World) {
	for _, s := range before.broken() {
		e.alerts.End(signingKey(s.conf.Name), "mails of "+s.conf.Name+" go again")
	}
}

func signingKey(domain string) string { return "signing " + domain }
