// Package dkimtest verifies signatures in tests by dkimpy, a verifier that shares no code with ours: Debian's packages
// python3-dkim and python3-nacl.
package dkimtest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"os/exec"
	"testing"
)

//go:embed verify.py
var script string

// python is the interpreter that Debian's packages belong to.
const python = "/usr/bin/python3"

// Case is a signed message and what the DNS says.
type Case struct {
	Message []byte            `json:"message"`
	Records map[string]string `json:"records"` // TXT values by name
}

// Verify returns for each case why the topmost signature does not hold, "" when it does. A missing verifier fails the test.
func Verify(t testing.TB, cases ...Case) []string {
	t.Helper()
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	verifier := exec.CommandContext(t.Context(), python, "-c", script)
	verifier.Stdin, verifier.Stderr = bytes.NewReader(in), &stderr
	out, err := verifier.Output()
	if err != nil {
		t.Fatalf("the verifier does not run (%v): make verifiers installs it.\n%s", err, stderr.String())
	}
	var reasons []string
	if err := json.Unmarshal(out, &reasons); err != nil || len(reasons) != len(cases) {
		t.Fatalf("the verifier said %q: %v", out, err)
	}
	return reasons
}
