module github.com/tenantry/tenantry/test/corpus

go 1.26.5

require (
	github.com/mattermost/mattermost-server/v6 v6.7.2
	github.com/mindersec/minder v0.3.1 // its files are read, nothing is imported; go mod tidy would drop it
)
