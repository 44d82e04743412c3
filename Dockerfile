# An image that serves, from a wheel: `make wheel && docker build -t edge-potion .`
# There is no container engine where we test: this was not run by us.
FROM python:3.12-slim

COPY dist/*.whl constraints.txt /install/
RUN pip install --no-cache-dir --constraint /install/constraints.txt "$(echo /install/*.whl)[serve]" \
    && rm -r /install \
    && useradd --system --no-create-home serve
USER serve

EXPOSE 8080
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=3)"]
# Options follow the image's name: `docker run -p 8080:8080 edge-potion --workers 2`
ENTRYPOINT ["edge-potion", "serve", "--host", "0.0.0.0"]
