package conditions

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/reference"
)

const (
	// longestNewsWait bounds how long good news waits.
	longestNewsWait = 2 * time.Minute
	// newsLook is how often it is seen whether one piece of news has to wait on. Each is at its own time, so that those
	// of a fleet do not come all at once.
	newsLook = time.Second
	// newsTick is how exactly those times are kept. One timer looks after all that waits.
	newsTick = newsLook / 10
)

// news is an event that waits. It has no more of the object than the event says: a fleet's objects, with their
// statuses, are much to hold for minutes.
type news struct {
	about                *corev1.ObjectReference
	reason, action, note string
	look, until          time.Time
}

// waiting is the good news that waits. Its zero value is ready for use. Only while it is not empty its timer runs:
// when the process ends there is nothing to stop.
type waiting struct {
	mu   sync.Mutex
	news []news
}

// tell sends an event. Good news waits while objects are being made or migrated, for which it would take the
// API server's time: their statuses tell the same. What is bad never waits.
func (w *Writer) tell(obj Object, kind, reason, action, note string) {
	if w.Busy != nil && kind == corev1.EventTypeNormal && w.Busy() {
		if about, err := reference.GetReference(w.Client.Scheme(), obj); err == nil {
			now := time.Now()
			w.hold(news{about, reason, action, note, now.Add(newsLook), now.Add(longestNewsWait)})
			return
		} // The recorder meets the same error, and logs it.
	}
	w.Recorder.Eventf(obj, nil, kind, reason, action, "%s", note)
}

func (w *Writer) hold(n news) {
	w.waiting.mu.Lock()
	defer w.waiting.mu.Unlock()
	w.waiting.news = append(w.waiting.news, n)
	if len(w.waiting.news) == 1 {
		time.AfterFunc(newsTick, w.tellOn)
	}
}

// tellOn sends what need not wait on, and comes back for the rest.
func (w *Writer) tellOn() {
	for _, n := range w.waiting.take(time.Now(), w.Busy(), w.tellOn) {
		w.Recorder.Eventf(n.about, nil, corev1.EventTypeNormal, n.reason, n.action, "%s", n.note)
	}
}

// take removes the news whose time has come. It calls again a tick later if there is more.
func (w *waiting) take(now time.Time, busy bool, again func()) (ready []news) {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := w.news[:0]
	for _, n := range w.news {
		looks := !now.Before(n.look)
		switch {
		case !now.Add(newsTick).Before(n.until), looks && !busy:
			ready = append(ready, n)
			continue
		case looks:
			n.look = n.look.Add(newsLook)
		}
		left = append(left, n)
	}
	clear(w.news[len(left):])
	if w.news = left; len(left) == 0 {
		w.news = nil // with the room for a fleet's
	} else {
		time.AfterFunc(newsTick, again)
	}
	return ready
}
