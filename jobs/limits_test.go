package jobs

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

// TestP3_LimitsOfAPresetAreCounted: what the file does not state and the provider does is in the bucket, and so are a limit of the file's own
// and the account's name in the bucket, whether host or provider is named.
func TestP3_LimitsOfAPresetAreCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.yaml")
	const text = `version: 1
servers: {main: {host: localhost, username: u}}
accounts:
  system: {provider: office365, username: a@acme.example, password: {file: p}, from: a@acme.example, rate: 300/hour}
  stated: {provider: office365, username: b@acme.example, password: {file: p}, from: b@acme.example, rate: 300/hour, limits: [20/minute]}
companies: {acme: {server: main, database: acme, jobs: {send: {kind: deliver}}}}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, problems := jobfile.Load(path)
	if file == nil {
		t.Fatal(problems)
	}
	recipients := db.Window{N: 10000, Per: 24 * time.Hour, Recipients: true}
	for name, want := range map[string][]db.Window{
		"system": {{N: 300, Per: time.Hour}, {N: 30, Per: time.Minute}, recipients},
		"stated": {{N: 300, Per: time.Hour}, {N: 20, Per: time.Minute}, recipients},
	} {
		b := accountBucket(file.Account(name))
		if !slices.Equal(b.Windows, want) || b.Name != "account:"+file.Account(name).Username+"@smtp.office365.com" {
			t.Errorf("%s: %+v", name, b)
		}
	}
}
