package jobs

import "time"

// SetPatience sets how long a database is out of reach before a person is told.
func (e *Engine) SetPatience(d time.Duration) { e.patience, e.control.after = d, d }
