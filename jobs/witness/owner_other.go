//go:build !unix

package witness

// giveAway has nothing to do where files have no owner that matters.
func giveAway(string) error { return nil }
