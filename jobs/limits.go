package jobs

import (
	"crypto/x509"
	"fmt"
	"os"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail/smtpout"
)

// maxRecipients is the most recipients a row may have; providers refuse more in one message.
const maxRecipients = 100

// bucketName names an account's bucket: two entries with the same host and user are one account.
func bucketName(a *jobfile.Account) string { return "account:" + a.Identity() }

// accountBucket is what the account's rate and limits allow; without windows it is unlimited.
func accountBucket(a *jobfile.Account) db.Bucket {
	b := db.Bucket{Name: bucketName(a)}
	for _, r := range ratesOf(a) {
		if !r.Unlimited && r.N > 0 {
			b.Windows = append(b.Windows, db.Window{N: r.N, Per: r.Per, Recipients: r.Recipients})
		}
	}
	if w := a.Warmup; w != nil {
		b.Warmup = &db.Warmup{Start: w.Start.N, Days: w.Days}
	}
	return b
}

// ratesOf lists the account's rate and its limits.
func ratesOf(a *jobfile.Account) []jobfile.Rate { return append([]jobfile.Rate{a.Rate}, a.Limits...) }

// limitTexts are they as in jobs.yaml.
func limitTexts(a *jobfile.Account) []string {
	var all []string
	for _, r := range ratesOf(a) {
		all = append(all, r.String())
	}
	return all
}

// jobBucket is what the job's own rate allows; false when it has none.
func jobBucket(company string, j *jobfile.Deliver) (db.Bucket, bool) {
	if j.Rate == nil || j.Rate.Unlimited {
		return db.Bucket{}, false
	}
	return db.Bucket{Name: "job:" + company + "/" + j.Name,
		Windows: []db.Window{{N: j.Rate.N, Per: j.Rate.Per, Recipients: j.Rate.Recipients}}}, true
}

// smtpConfig reads the account's secret and trust roots.
func smtpConfig(a *jobfile.Account) (smtpout.Config, error) {
	c := smtpout.Config{Host: a.Host, Port: a.Port, Username: a.Username}
	var err error
	if c.Encryption, err = smtpout.ParseEncryption(a.Encryption); err != nil {
		return c, fmt.Errorf("account %s: %w", a.Name, err)
	}
	if c.Auth, err = smtpout.ParseAuth(a.Auth); err != nil {
		return c, fmt.Errorf("account %s: %w", a.Name, err)
	}
	if !a.Password.IsZero() {
		if c.Password, err = a.Password.Read(); err != nil {
			return c, fmt.Errorf("account %s: %w", a.Name, err)
		}
	}
	if a.CA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(a.CA)
	if err != nil {
		return c, fmt.Errorf("account %s: read ca: %w", a.Name, err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return c, fmt.Errorf("account %s: ca %s: no PEM certificate in it", a.Name, a.CA)
	}
	return c, nil
}
