//go:build !race

package torture

// raced tells whether the tests run with the race detector; the daemons do so too then.
const raced = false
