package main

import (
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
)

// lookAtKey tells whether a domain's mails can be signed.
func lookAtKey(conf *jobfile.DKIM) []finding {
	const id = "dkim.key"
	about := "dkim " + conf.Name
	signer, err := jobs.ReadSigner(conf)
	if err != nil {
		return []finding{found(id, levelFail, about, "its mails cannot be signed, and wait: "+err.Error(),
			"let the user that outboxd runs as read the key, or make one: outboxd dkim keygen "+conf.Name)}
	}
	if weak := signer.Weakness(); weak != "" {
		return []finding{found(id, levelWarn, about, weak, "")}
	}
	return []finding{found(id, levelOK, about, "the key can be used", "")}
}
