package postgres_test

const childEnv = "EVOLVE_POSTGRES_CHILD"

func appendForever(url string) {}
