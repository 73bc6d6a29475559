module github.com/oidcgate/oidcgate/store

go 1.26.0
