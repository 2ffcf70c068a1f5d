package mailing

import (
	"cmp"
	"encoding/json"

	"outboxd/jobs/jobfile"
)

// FromJob is what a run of a mailing does, as jobs.yaml says it now.
func FromJob(c *jobfile.Company, j *jobfile.Mailing) Spec {
	return Spec{
		Kind: KindMailing, Job: j.Name, Was: j.Was, Host: j.Host,
		Audience: j.Audience.Name, Statement: statement(c, j.Audience.Name), With: values(j.Audience.With),
		Template: j.Template, Subject: j.Subject, Attach: attach(j.Attach),
		Key: j.Key, OncePer: j.OncePer, Account: j.Account, Priority: j.Priority,
		Proof: proof(j.Proof), Approval: approval(j.Approval), Recheck: j.Recheck, Canary: canary(j.Canary),
		OnSent: j.OnSent, OnFailed: j.OnFailed, Summary: j.Summary,
	}
}

// FromReport is what a run of a report does.
func FromReport(c *jobfile.Company, j *jobfile.Report) Spec {
	return Spec{
		Kind: KindReport, Job: j.Name, Was: j.Was, Host: j.Host, Account: jobfile.GeneralAccount, To: j.To,
		Subject: j.Subject, Template: j.Template, Text: j.Text, Attach: attach(j.Attach), IfEmpty: j.IfEmpty,
	}
}

// Start is a mailing that a person starts to an audience now.
type Start struct {
	Audience             string
	With                 map[string]any
	Subject              string
	Template, Text, HTML string
}

// FromAudience is what such a mailing does, with what jobs.yaml says for those of the company. Its job is @AUDIENCE.
func FromAudience(c *jobfile.Company, start Start) Spec {
	d := c.Mailing
	if d == nil {
		d = &jobfile.MailingDefaults{}
	}
	return Spec{
		Kind: KindMailing, Job: "@" + start.Audience, OncePer: "run",
		Audience: start.Audience, Statement: statement(c, start.Audience), With: start.With,
		Subject: start.Subject, Template: start.Template, Text: start.Text, HTML: start.HTML,
		Account: d.Account, Priority: cmp.Or(d.Priority, 4), Proof: proof(d.Proof), Approval: approval(d.Approval), Canary: canary(d.Canary), Summary: d.Summary,
	}
}

// statement is that of an audience; "" when there is none of that name.
func statement(c *jobfile.Company, audience string) string {
	for _, a := range c.Audiences {
		if a.Name == audience {
			return a.Query
		}
	}
	return ""
}

func values(all []jobfile.Value) map[string]any {
	if len(all) == 0 {
		return nil
	}
	with := make(map[string]any, len(all))
	for _, v := range all {
		with[v.Name] = v.Value
	}
	return with
}

func attach(all []jobfile.Attach) (made []Attach) {
	for _, a := range all {
		options := ""
		if a.Options != nil {
			text, err := json.Marshal(a.Options)
			if err == nil { // texts, lists of texts and bools: it cannot fail
				options = string(text)
			}
		}
		made = append(made, Attach{File: a.File, Query: a.Query, As: a.As, Name: a.Name, Options: options})
	}
	return made
}

func proof(p *jobfile.Proof) *Proof {
	if p == nil {
		return nil
	}
	return &Proof{To: p.To, Samples: p.Samples}
}

func approval(a *jobfile.Approval) *Approval {
	if a == nil {
		return nil
	}
	return &Approval{By: a.By, Within: a.Within, Else: a.Else, Starter: a.Starter}
}

func canary(c *jobfile.Canary) *Canary {
	if c == nil {
		return nil
	}
	return &Canary{First: int64(c.First), Wait: c.Wait, StopAbove: float64(c.StopAbove)}
}
