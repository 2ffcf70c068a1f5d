//go:build !unix

package statefile

// GiveAway has nothing to do where files have no owner that matters.
func GiveAway(string) error { return nil }

// SyncFolder has nothing to do where folders cannot be synced.
func SyncFolder(string) error { return nil }
