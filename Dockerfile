# The provider and the demo apps in one image. Packages come from requirements.lock, by their hashes.

FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
RUN python -m venv /opt/satupintu
WORKDIR /src
COPY requirements.lock ./
RUN /opt/satupintu/bin/python -m pip install --require-hashes --no-deps -r requirements.lock
COPY pyproject.toml README.md ./
COPY keys keys
COPY consent consent
COPY idp idp
COPY migrations migrations
COPY relying_parties relying_parties
RUN /opt/satupintu/bin/python -m pip install --no-deps --no-build-isolation --no-index .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin satupintu \
    && install -d -m 0700 -o satupintu -g satupintu /var/lib/satupintu /var/lib/satupintu-log
COPY --from=build /opt/satupintu /opt/satupintu
ENV PATH=/opt/satupintu/bin:$PATH PYTHONUNBUFFERED=1 SATUPINTU_DATA_DIR=/var/lib/satupintu
USER satupintu
WORKDIR /var/lib/satupintu
EXPOSE 8000
ENTRYPOINT ["satupintu"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
