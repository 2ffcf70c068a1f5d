package jobfile

import (
	"errors"
	"io/fs"
	"os"
)

// purges checks the jobs that remove what is old. No two of them remove the same.
func (c *checker) purges(e entry, at string) {
	var bodies, rows string // the job that removes them
	for _, job := range e.Jobs.Purge {
		path := join(at, job.Name)
		if !e.src.has(path) {
			continue
		}
		c.purge(e.src, path, job)
		for _, part := range []struct {
			key   string
			age   int64
			taken *string
		}{{"bodies", int64(job.Bodies), &bodies}, {"rows", int64(job.Rows), &rows}} {
			if part.age == 0 {
				continue
			}
			if *part.taken != "" {
				e.src.wrong(path+"."+part.key, "", "are removed by job "+*part.taken+" too", "state it in one of the two")
			}
			*part.taken = job.Name
		}
	}
}

func (c *checker) purge(s *source, path string, job *Purge) {
	checkHost(s, path+".host", job.Host)
	switch b, r := path+".bodies", path+".rows"; {
	case !s.written(b) && !s.written(r):
		s.wrong(path, "", "removes nothing", "for example bodies: 90d, rows: 400d")
	case s.has(b) && s.has(r) && job.Bodies >= job.Rows:
		s.wrong(b, formatDuration(job.Bodies), "is not shorter than rows, which is "+formatDuration(job.Rows), "the bodies go with their rows at the latest; leave bodies out, or make it shorter")
	}
	c.archive(s, path+".archive", job)
}

// archive checks the folder for what is removed. One that cannot be used here and now is a warning: it may be there on
// the computer that runs the file.
func (c *checker) archive(s *source, path string, job *Purge) {
	if !s.has(path) {
		return
	}
	written := job.Archive
	job.Archive = c.resolve(job.Archive)
	const until = ", so nothing is removed until it can be used"
	switch info, err := os.Stat(job.Archive); {
	case errors.Is(err, fs.ErrNotExist):
		s.warn(path, written, "there is no such folder"+until, "make it, and let the user that outboxd runs as write into it")
	case err != nil:
		s.warn(path, written, "cannot be looked at"+until, "the user that outboxd runs as must be allowed to write into it")
	case !info.IsDir():
		s.wrong(path, written, "is no folder", "name a folder; each run makes a file in it")
	}
}
