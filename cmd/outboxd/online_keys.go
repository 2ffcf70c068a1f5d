package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail/compose/dkim"
)

// lookupTime is how long the DNS may take.
const lookupTime = 10 * time.Second

// lookAtKey tells whether a domain's mails can be signed, and whether receivers find the public key in the DNS.
func lookAtKey(i *invocation, conf *jobfile.DKIM) []finding {
	about := "dkim " + conf.Name
	signer, err := jobs.ReadSigner(conf)
	if err != nil {
		return []finding{{levelFail, about, "its mails cannot be signed, and wait: " + err.Error(),
			"let the user that outboxd runs as read the key, or make one: outboxd dkim keygen " + conf.Name}}
	}
	var found []finding
	if weak := signer.Weakness(); weak != "" {
		found = append(found, finding{levelWarn, about, weak, ""})
	}
	return append(found, lookAtRecord(i, about, signer))
}

// lookAtRecord compares the DNS with the key. What another DNS than this computer's says is not known, so nothing here is more
// than a warning.
func lookAtRecord(i *invocation, about string, signer *dkim.Signer) finding {
	ctx, cancel := context.WithTimeout(i.ctx, lookupTime)
	defer cancel()
	lookup := i.lookup
	if lookup == nil {
		lookup = net.DefaultResolver.LookupTXT
	}
	values, err := lookup(ctx, signer.RecordName()+".")
	publish := "put it there: " + signer.ZoneRecord()
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return finding{levelWarn, about, fmt.Sprintf("the DNS has no TXT record %s, so receivers cannot verify the signatures", signer.RecordName()), publish}
	case err != nil:
		return finding{levelWarn, about, fmt.Sprintf("the key can be used; whether the DNS has its record is not known: %v", err), "look from another computer: dig +short TXT " + signer.RecordName()}
	}
	for _, value := range values {
		if publicKey(value) == publicKey(signer.Record()) {
			return finding{levelOK, about, "the key can be used, and the DNS has its record " + signer.RecordName(), ""}
		}
	}
	return finding{levelWarn, about, fmt.Sprintf("the DNS has another key under %s, so receivers reject the signatures", signer.RecordName()), publish}
}

// publicKey returns p= of a record (RFC 6376 3.6.1).
func publicKey(record string) string {
	for tag := range strings.SplitSeq(record, ";") {
		if name, value, found := strings.Cut(tag, "="); found && strings.TrimSpace(name) == "p" {
			return strings.Join(strings.Fields(value), "")
		}
	}
	return ""
}
