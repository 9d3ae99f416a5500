module github.com/tenantry/tenantry/test/corpus

go 1.26.0

require github.com/mattermost/mattermost-server/v6 v6.7.2
