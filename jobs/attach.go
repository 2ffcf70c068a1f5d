package jobs

import (
	"context"
	"fmt"
	"os"

	"outboxd/db"
	"outboxd/mail/compose"
)

// attach adds a row's files to the letter. All sizes that can be known are looked at before anything is read.
func (k *packer) attach(ctx context.Context, l *letter, all []db.Attachment) error {
	files := make([]os.FileInfo, len(all))
	for i, a := range all {
		if err := k.allowed(a.Name, a.Type); err != nil {
			return err
		}
		size := a.Size
		if a.File != "" {
			var err error
			files[i], err = statBelow(k.place.Company.Attachments, a.File)
			if k.sources.noteFile(err); err != nil {
				return err
			}
			size = files[i].Size()
		}
		l.octets += max(size, 0)
	}
	if err := k.weigh(ctx, l); err != nil {
		return err
	}
	for i, a := range all {
		file, err := k.fetch(ctx, l, a, files[i])
		if err != nil {
			return err
		}
		if a.ContentID != "" {
			l.Inline = append(l.Inline, file)
		} else {
			l.Attachments = append(l.Attachments, file)
		}
	}
	return nil
}

// fetch reads one of the row's files, whatever its source. info is that of a file on disk.
func (k *packer) fetch(ctx context.Context, l *letter, a db.Attachment, info os.FileInfo) (file compose.Attachment, err error) {
	file = compose.Attachment{Name: a.Name, Type: a.Type, ContentID: a.ContentID}
	switch {
	case a.Query != "":
		if file.Content, err = k.queried(ctx, l, a); err != nil {
			return file, fmt.Errorf("attachment %q: %w", a.Name, err)
		}
		l.octets += int64(len(file.Content))
		err = k.weigh(ctx, l)
	case a.File != "":
		file.Content, err = readBelow(k.place.Company.Attachments, a.File, info)
		k.sources.noteFile(err)
	default:
		file.Content, err = k.attached(ctx, a)
	}
	if err == nil && file.Type == "" {
		file.Type = compose.TypeOf(file.Name, file.Content)
		err = k.allowed(file.Name, file.Type)
	}
	if err == nil {
		err = k.allowedEnclosed(file.Type, file.Content)
	}
	return file, err
}
