// Netty: java NettyPeer PORT. One event loop over NIO; answers are flushed once a read, not once a message.
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.ChannelMatchers;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketFrameAggregator;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolHandler;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolHandler.HandshakeComplete;
import io.netty.util.concurrent.ImmediateEventExecutor;

public final class NettyPeer {
  static final int MOST = 16 * 1024 * 1024;
  static final ChannelGroup members = new DefaultChannelGroup(ImmediateEventExecutor.INSTANCE);

  static final class Answers extends SimpleChannelInboundHandler<WebSocketFrame> {
    private boolean isChat;
    private boolean hasSpoken;

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) {
      if (event instanceof HandshakeComplete && ((HandshakeComplete) event).requestUri().equals("/chat")) {
        isChat = true;
        members.add(context.channel());
      }
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, WebSocketFrame frame) {
      if (isChat) {
        members.write(frame.retain(), ChannelMatchers.isNot(context.channel()));
        hasSpoken = true;
      } else {
        context.write(frame.retain(), context.voidPromise());
      }
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext context) {
      if (hasSpoken) {
        members.flush();
        hasSpoken = false;
      }
      context.flush();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      context.close();
    }
  }

  public static void main(String[] arguments) throws InterruptedException {
    NioEventLoopGroup loop = new NioEventLoopGroup(1);
    new ServerBootstrap()
        .group(loop)
        .channel(NioServerSocketChannel.class)
        .option(ChannelOption.SO_BACKLOG, 4096)
        .childOption(ChannelOption.TCP_NODELAY, true)
        .childHandler(new ChannelInitializer<Channel>() {
          @Override
          protected void initChannel(Channel channel) {
            channel.pipeline()
                .addLast(new HttpServerCodec())
                .addLast(new HttpObjectAggregator(65536))
                .addLast(new WebSocketServerProtocolHandler("/", null, false, MOST, false, true))
                .addLast(new WebSocketFrameAggregator(MOST))
                .addLast(new Answers());
          }
        })
        .bind("127.0.0.1", Integer.parseInt(arguments[arguments.length - 1]))
        .sync()
        .channel()
        .closeFuture()
        .sync();
  }
}
