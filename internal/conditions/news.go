package conditions

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// longestNewsWait bounds how long good news waits.
const longestNewsWait = 2 * time.Minute

// tell sends an event. Good news waits while objects are being made or migrated, for which it would take the
// API server's time: their statuses tell the same. What is bad never waits.
func (w *Writer) tell(obj Object, kind, reason, action, note string) {
	if w.Busy == nil || kind != corev1.EventTypeNormal || !w.Busy() {
		w.Recorder.Eventf(obj, nil, kind, reason, action, "%s", note)
		return
	}
	until := time.Now().Add(longestNewsWait)
	var later func()
	later = func() {
		if w.Busy() && time.Now().Before(until) {
			time.AfterFunc(time.Second, later)
			return
		}
		w.Recorder.Eventf(obj, nil, kind, reason, action, "%s", note)
	}
	time.AfterFunc(time.Second, later)
}
