package dbtest

import "os"

// Signal sends a signal to the server's process: SIGSTOP freezes it, SIGCONT lets it go on.
func (s *Server) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }

// SetFlags replaces the further flags of mariadbd; they count from the next Restart on.
func (s *Server) SetFlags(flags ...string) { s.options.Flags = flags }

// Ended tells whether the process has ended, by Kill or by itself.
func (s *Server) Ended() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}
