"""Default images of what others made. Outside dev a stack names its own by digest, as the policy pack asks."""

REDIS = "docker.io/library/redis:7.4.1-bookworm"
HAPROXY = "docker.io/library/haproxy:3.0.6-alpine"
MONGODB = "docker.io/library/mongo:7.0.16-jammy"
MONGO_EXPRESS = "docker.io/library/mongo-express:1.0.2-20"
