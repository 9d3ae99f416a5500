package platform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// AuditEvent is one request that the API server answered.
type AuditEvent struct {
	User, UserAgent string
	Groups          []string
	// Verb is create, update, patch, delete or deletecollection; get, list or watch as well, of those
	// users whose reads are logged.
	Verb                         string
	Group, Resource, Subresource string
	Namespace, Name              string
	// Code is the HTTP status of the answer.
	Code int
}

// AuditMark returns the present end of the audit log, for AuditEvents. It may lie within a line, of a
// request that is not answered yet.
func (c *ControlPlane) AuditMark() (int64, error) {
	if c.AuditLog == "" {
		return 0, errors.New("the control plane was started without WithAuditLog")
	}
	info, err := os.Stat(c.AuditLog)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Writes says whether the request was to change something.
func (e AuditEvent) Writes() bool { return e.Verb != "get" && e.Verb != "list" && e.Verb != "watch" }

// AuditEvents returns the requests that are logged, answered ones, since a mark (0: since the start). The
// log is written before the answer is sent, so a request that has returned is in it. One that was being
// logged at the mark is of before.
func (c *ControlPlane) AuditEvents(mark int64) (events []AuditEvent, err error) {
	if c.AuditLog == "" {
		return nil, errors.New("the control plane was started without WithAuditLog")
	}
	file, err := os.Open(c.AuditLog)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	data, err := linesSince(file, mark)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(data) {
		var raw struct {
			Verb, UserAgent string
			User            struct {
				Username string
				Groups   []string
			}
			ObjectRef      struct{ APIGroup, Resource, Subresource, Namespace, Name string }
			ResponseStatus struct{ Code int }
		}
		if err := json.Unmarshal(line, &raw); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		events = append(events, AuditEvent{
			User: raw.User.Username, Groups: raw.User.Groups, UserAgent: raw.UserAgent, Verb: raw.Verb,
			Group: raw.ObjectRef.APIGroup, Resource: raw.ObjectRef.Resource, Subresource: raw.ObjectRef.Subresource,
			Namespace: raw.ObjectRef.Namespace, Name: raw.ObjectRef.Name, Code: raw.ResponseStatus.Code,
		})
	}
	return events, nil
}

// linesSince returns the whole lines that begin at a mark or behind it. The server writes a line page by
// page, so there may be half a line at both ends.
func linesSince(file io.ReadSeeker, mark int64) ([]byte, error) {
	if _, err := file.Seek(max(mark-1, 0), io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	if mark > 0 {
		_, data, _ = bytes.Cut(data, []byte{'\n'})
	}
	return data[:bytes.LastIndexByte(data, '\n')+1], nil
}
