package main

import (
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// bodies is the verbosity from which on client-go logs the bodies of requests and answers, those of
// Secrets among them (k8s.io/client-go/rest, logBody): they are nobody's to read in a log.
const bodies = 8

// withoutBodies leaves all verbosities to --zap-log-level that show no Secret.
func withoutBodies(o *zap.Options) {
	if o.Level != nil { // else the flag was not given, and nothing as verbose is on
		o.Level = discreet{o.Level}
	}
}

type discreet struct{ zapcore.LevelEnabler }

// Enabled : zap counts verbosities below zero.
func (d discreet) Enabled(level zapcore.Level) bool {
	return level > -bodies && d.LevelEnabler.Enabled(level)
}
