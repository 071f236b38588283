"""Default images of what others made. Outside dev a stack names its own by digest, as the policy pack asks."""

REDIS = "redis:7.4.1-bookworm"
HAPROXY = "haproxy:3.0.6-alpine"
MONGODB = "mongo:7.0.16-jammy"
MONGO_EXPRESS = "mongo-express:1.0.2-20"
