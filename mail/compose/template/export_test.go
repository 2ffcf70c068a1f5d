package template

import (
	"testing"
	"time"
)

// SetMaxTime bounds renderings until the test ends.
func SetMaxTime(t *testing.T, d time.Duration) {
	before := maxTime
	maxTime = d
	t.Cleanup(func() { maxTime = before })
}
