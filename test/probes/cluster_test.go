package probes

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tenantry/tenantry/test/operator"
	"github.com/tenantry/tenantry/test/platform"
)

// clusterWithin bounds the start of the servers, building their programs at first use included.
const clusterWithin = 15 * time.Minute

var cluster struct {
	once    sync.Once
	servers *operator.Servers
	err     error
}

// clusterOf starts a control plane and a PostgreSQL at its most talkative, at their first use.
func clusterOf(t *testing.T) *operator.Servers {
	t.Helper()
	cluster.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), clusterWithin)
		defer cancel()
		var settings []platform.PostgresOption
		for name, value := range talkative {
			settings = append(settings, platform.PostgresSetting(name, value))
		}
		cluster.servers, cluster.err = operator.Start(ctx, settings...)
	})
	if cluster.err != nil {
		t.Fatal(cluster.err)
	}
	return cluster.servers
}

func stopCluster() error {
	if cluster.servers == nil {
		return nil
	}
	return cluster.servers.Stop()
}

// talkative are settings that make the server's log tell all that it can.
var talkative = map[string]string{
	"log_statement": "all", "log_min_messages": "debug5", "log_min_error_statement": "debug5", "log_error_verbosity": "verbose",
	"log_parameter_max_length": "-1", "log_parameter_max_length_on_error": "-1", "log_duration": "on", "log_connections": "on", "log_disconnections": "on",
	"log_replication_commands": "on", "log_min_duration_statement": "0", "debug_print_parse": "on", "debug_print_rewritten": "on",
	"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all", "pg_stat_statements.track_utility": "on",
	"track_activity_query_size": "65536",
}
